// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Tasks of a pool under the scheduler that count how often they run and return what their number tells.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <procpool/detail/task/result_codec.hpp>

#include "pool_under_scheduler.hpp"

namespace model {

/// How a task has ended for its future.
enum class End : std::uint8_t { value, died, cancelled, late, broken };

class CountedTasks {
 public:
  explicit CountedTasks(std::size_t count) : runs_(count) {}

  /// Of the numbers, each third returns a text, in a block, and the others a number, in the slot.
  [[nodiscard]] detail::ResultHandle submit(PoolUnderScheduler& pool, std::size_t number,
                                            std::unique_ptr<detail::TaskNote> note = nullptr) {
    return pool.submit(is_text(number) ? return_text : return_number, Call{&runs_[number], number}, ring_of(number),
                       std::move(note));
  }
  /// The same with a block for arguments, for which it waits as a pool's own submit does.
  [[nodiscard]] detail::ResultHandle submit_with_block(PoolUnderScheduler& pool, std::size_t number,
                                                       std::size_t bytes) {
    auto note = std::make_unique<detail::TaskNote>();
    note->arguments = pool.core().allocate_arguments(ring_of(number), *note, bytes, true);
    return submit(pool, number, std::move(note));
  }

  [[nodiscard]] detail::ResultHandle post(PoolUnderScheduler& pool, std::size_t number, std::size_t worker) {
    return pool.post(worker, is_text(number) ? return_text : return_number, Call{&runs_[number], number});
  }

  [[nodiscard]] int runs(std::size_t number) const { return runs_[number]; }

  /// Takes the result of a task that has ended. A value must be the right one, of a task that ran.
  [[nodiscard]] End take(std::size_t number, detail::ResultHandle task) const {
    try {
      if (is_text(number)) demand(detail::take_result<std::string>(std::move(task)) == text(number), "a wrong text");
      else demand(detail::take_result<std::size_t>(std::move(task)) == 2 * number, "a wrong number");
    } catch (const procpool::WorkerDied&) {
      return End::died;
    } catch (const procpool::Cancelled&) {
      return End::cancelled;
    } catch (const procpool::TaskTimeout&) {
      return End::late;
    } catch (const procpool::BrokenPool&) {
      return End::broken;
    }
    demand(runs(number) > 0, "a task that never ran has a value");
    return End::value;
  }

 private:
  struct Call {
    int* runs;
    std::size_t number;
  };

  static detail::RingName ring_of(std::size_t number) noexcept {
    return number % 5 == 4 ? detail::RingName::high : detail::RingName::normal;
  }
  static bool is_text(std::size_t number) noexcept { return number % 3 == 2; }
  static std::string text(std::size_t number) { return std::string(100, static_cast<char>('a' + number % 26)); }

  static Call count(const detail::TaskContext& context) {
    Call call{};
    std::memcpy(&call, context.arguments().data(), sizeof call);
    ++*call.runs;
    return call;
  }
  static void return_number(detail::TaskContext& context) { context.return_inline(2 * count(context).number); }
  static void return_text(detail::TaskContext& context) { detail::write_result(context, text(count(context).number)); }

  std::vector<int> runs_;
};

}  // namespace model
