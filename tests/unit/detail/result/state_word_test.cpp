// SPDX-License-Identifier: BSL-1.0

#include <cstdint>
#include <set>
#include <vector>

#include <procpool/detail/result/slot.hpp>
#include <procpool/detail/result/state_word.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::max_workers;
using procpool::detail::no_worker;
using procpool::detail::Phase;
using procpool::detail::set_flag;
using procpool::detail::Slot;
using procpool::detail::StateWord;
using procpool::detail::ticket_mask;

namespace {

const std::vector<Phase> all_phases = {Phase::free,     Phase::queued,    Phase::claimed,
                                       Phase::recalled, Phase::running,   Phase::condemned,
                                       Phase::done,     Phase::cancelled, Phase::lost};

/// Words with every phase, some owners, tickets and counts, and every set of flags.
std::vector<StateWord> many_words() {
  std::vector<StateWord> words;
  for (const Phase phase : all_phases) {
    for (const std::uint64_t ticket : {std::uint64_t{0}, std::uint64_t{77}, ticket_mask}) {
      for (const unsigned owner : {0U, 5U, no_worker}) {
        for (const unsigned requeues : {0U, 1U, 3U}) {
          for (unsigned flags = 0; flags < 16; ++flags) {
            StateWord word = StateWord::queued(ticket).with_phase(phase).with_owner(owner).with_requeues(requeues);
            if ((flags & 1) != 0) word = word.with_waiting();
            if ((flags & 2) != 0) word = word.with_notify();
            if ((flags & 4) != 0) word = word.with_stop();
            if ((flags & 8) != 0) word = word.with_overdue();
            words.push_back(word);
          }
        }
      }
    }
  }
  return words;
}

/// Everything that a word says.
struct Contents {
  Phase phase;
  unsigned owner;
  std::uint64_t ticket;
  unsigned requeues;
  bool waiting, notify, stop, overdue;

  explicit Contents(StateWord word)
      : phase(word.phase()), owner(word.owner()), ticket(word.ticket()), requeues(word.requeues()),
        waiting(word.is_waited_for()), notify(word.is_watched()), stop(word.is_asked_to_stop()),
        overdue(word.is_overdue()) {}
  bool operator==(const Contents&) const = default;
};

template <class Member, class Value>
Contents with(Contents contents, Member Contents::*member, Value value) {
  contents.*member = static_cast<Member>(value);
  return contents;
}

}  // namespace

TEST_CASE("a change of one part of a state word leaves all others as they were") {
  std::set<std::uint64_t> distinct;
  for (const StateWord word : many_words()) {
    distinct.insert(word.bits());
    const Contents before(word);
    for (const Phase phase : all_phases) {
      if (Contents(word.with_phase(phase)) != with(before, &Contents::phase, phase)) FAIL("phase");
    }
    for (const unsigned owner : {0U, 4U, no_worker}) {
      if (Contents(word.with_owner(owner)) != with(before, &Contents::owner, owner)) FAIL("owner");
    }
    if (Contents(word.with_ticket(123)) != with(before, &Contents::ticket, 123)) FAIL("ticket");
    if (Contents(word.with_ticket(ticket_mask + 6)) != with(before, &Contents::ticket, 5)) FAIL("ticket");
    if (Contents(word.with_requeues(2)) != with(before, &Contents::requeues, 2)) FAIL("requeues");
    if (Contents(word.with_requeues(99)) != with(before, &Contents::requeues, 3)) FAIL("requeues");
    if (Contents(word.with_waiting()) != with(before, &Contents::waiting, true)) FAIL("waiting");
    if (Contents(word.with_notify()) != with(before, &Contents::notify, true)) FAIL("notify");
    if (Contents(word.with_stop()) != with(before, &Contents::stop, true)) FAIL("stop");
    if (Contents(word.without_stop()) != with(before, &Contents::stop, false)) FAIL("no stop");
    if (Contents(word.without_overdue()) != with(before, &Contents::overdue, false)) FAIL("not overdue");
    if (Contents(word.with_overdue()) != with(before, &Contents::overdue, true)) FAIL("overdue");
  }
  CHECK(distinct.size() == many_words().size());
  static_assert(max_workers <= no_worker, "no worker's index is that of nobody");
}

TEST_CASE("a queued word has no owner and no flags") {
  const StateWord word = StateWord::queued(42);
  CHECK(Contents(word) == Contents(StateWord(0).with_phase(Phase::queued).with_owner(no_worker).with_ticket(42)));
}

TEST_CASE("exactly Done, Cancelled and Lost are over; final is also what is overdue in a worker's hand") {
  for (const StateWord word : many_words()) {
    const Phase phase = word.phase();
    const bool is_over = phase == Phase::done || phase == Phase::cancelled || phase == Phase::lost;
    const bool dooms_worker = phase == Phase::recalled || phase == Phase::condemned;
    const bool is_unstarted = phase == Phase::claimed || phase == Phase::recalled;
    const bool is_in_hand = is_unstarted || phase == Phase::running || dooms_worker;
    if (word.dooms_worker() != dooms_worker) FAIL("dooms its worker");
    if (word.is_unstarted() != is_unstarted) FAIL("unstarted");
    if (word.is_over() != is_over) FAIL("over");
    if (word.is_in_hand() != is_in_hand) FAIL("in hand");
    if (word.is_final() != (is_over || (is_in_hand && word.is_overdue()))) FAIL("final");
  }
  SUCCEED();
}

TEST_CASE("a phase that no slot in use has is ruined") {
  for (std::uint64_t bits = 0; bits < 16; ++bits) {
    const bool is_phase_of_use = bits >= 1 && bits <= 8;
    CHECK(StateWord(bits).is_ruined() == !is_phase_of_use);
    CHECK_FALSE((StateWord(bits).is_ruined() && StateWord(bits).is_final()));
  }
}

TEST_CASE("a transition from an expected word succeeds once, and tells one who comes late what he found") {
  for (const StateWord word : many_words()) {
    Slot slot;
    slot.store(word);
    const StateWord wanted = word.with_phase(word.phase() == Phase::done ? Phase::lost : Phase::done);
    StateWord expected = word;
    if (!slot.transition(expected, wanted) || slot.load().bits() != wanted.bits()) FAIL("the first");
    expected = word;
    if (slot.transition(expected, word.with_phase(Phase::free)) || expected.bits() != wanted.bits()) FAIL("the second");
    if (slot.load().bits() != wanted.bits()) FAIL("changed");
  }
  SUCCEED();
}

TEST_CASE("a flag is set on every task that has not ended, and never on one that has") {
  for (const StateWord word : many_words()) {
    Slot slot;
    slot.store(word);
    const StateWord found = set_flag(slot, [](StateWord seen) { return seen.with_waiting(); });
    const std::uint64_t expected = word.is_final() ? word.bits() : word.with_waiting().bits();
    if (found.bits() != expected || slot.load().bits() != expected) FAIL("flag");
  }
  SUCCEED();
}
