// SPDX-License-Identifier: BSL-1.0

#include <cstddef>

#include <procpool/detail/pool/result_room.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::ResultRoom;

TEST_CASE("until a result was seen there are as many chunks under way as were allowed") {
  const ResultRoom room(1000, 2);
  CHECK(room.items_beside(0, 0) == ResultRoom::unlimited);
  CHECK(room.items_beside(1, 8) == ResultRoom::unlimited);
  CHECK(room.items_beside(2, 16) == 0);
}

TEST_CASE("as many items are under way as their results have room for, by the largest seen lately") {
  ResultRoom room(1000, 2);
  room.record(10, 100, 0);  // 10 bytes each
  CHECK(room.items_beside(3, 30) == 70);
  CHECK(room.items_beside(3, 99) == 1);
  CHECK(room.items_beside(3, 100) == 0);
  room.record(1, 100, 0);
  CHECK(room.items_beside(3, 3) == 7);
  for (int i = 0; i < 10; ++i) room.record(10, 100, 0);
  CHECK(room.items_beside(3, 30) == 70);
}

TEST_CASE("as many chunks are under way as their own results have room for") {
  ResultRoom room(1000, 2);
  room.record(10, 0, 300);
  CHECK(room.items_beside(2, 20) == ResultRoom::unlimited);
  CHECK(room.items_beside(3, 30) == 0);
}

TEST_CASE("where results have no room at all one chunk is under way, of one item") {
  ResultRoom room(1000, 2);
  room.record(1, 5000, 0);
  CHECK(room.items_beside(0, 0) == 1);
  CHECK(room.items_beside(1, 1) == 0);
}

TEST_CASE("results that take no room do not hold a map back") {
  ResultRoom room(1000, ResultRoom::unlimited);
  CHECK(room.items_beside(1000, std::size_t{1} << 40) == ResultRoom::unlimited);
  room.record(std::size_t{1} << 40, 0, 0);
  CHECK(room.items_beside(1000, std::size_t{1} << 40) == ResultRoom::unlimited);
}
