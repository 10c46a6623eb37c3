// SPDX-License-Identifier: BSL-1.0

#include <memory>
#include <string>

#include <procpool/detail/pool/row.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::LifeRegister;
using procpool::detail::Row;
using procpool::detail::ShownLabel;

TEST_CASE("a label is shown as it is, up to 64 bytes of it") {
  ShownLabel label;
  CHECK(label.was_shown().empty());
  label.show("score");
  CHECK(label.was_shown() == "score");
  label.show("a");
  CHECK(label.was_shown() == "a");
  const std::string full(ShownLabel::capacity, 'x');
  label.show(full);
  CHECK(label.was_shown() == full);
  label.show(full + "more");
  CHECK(label.was_shown() == full);
  label.show({});
  CHECK(label.was_shown().empty());
  label.show({});
  CHECK(label.was_shown().empty());
}

TEST_CASE("a fresh row names no task, no life and no process") {
  const auto row = std::make_unique<Row>();
  CHECK(row->current.load() == 0);
  CHECK(row->filling.load() == 0);
  CHECK(row->mailbox.load() == 0);
  CHECK(row->begun.load() == 0);
  CHECK(row->ready.load() == 0);
  CHECK(row->failure_size.load() == 0);
  const LifeRegister lives;
  CHECK(lives.wanted.load() == 0);
  CHECK(lives.born.load() == 0);
  CHECK(lives.dead.load() == 0);
  CHECK(lives.pid.load() == 0);
}
