// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the user's process alone knows of a task: nothing that a worker writes can ruin it.

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <procpool/detail/memory/kept_blocks.hpp>
#include <procpool/detail/memory/shared_block.hpp>
#include <procpool/detail/result/continuation.hpp>
#include <procpool/detail/result/queued_bytes.hpp>
#include <procpool/detail/result/supervision.hpp>

namespace procpool::detail {

/// An item of a chunk that its worker died on.
struct ItemLoss {
  std::size_t item;  // within the chunk
  std::exception_ptr reason;
};

class Watcher;

/// What a task of this process waits for: who cancels the one, cancels the other. Since a chain of them may be long,
/// what the other waits for in turn is left in `further`, if that is null before, for the caller to go on with.
class Upstream {
 public:
  virtual ~Upstream() = default;
  /// True if it never ran and never will, but for what is left.
  virtual bool cancel(std::shared_ptr<Upstream>& further) = 0;
  virtual void kill(std::shared_ptr<Upstream>& further) = 0;
};

/// Made for tasks that need more than a slot: arguments in a block, a label, a chunk, a loss, a run in this process.
/// Written by the submitter while Free, `item_losses` by the supervisor while it owns the slot.
struct TaskNote {
  SharedBlock arguments;                   // read by the workers
  QueuedBytes::Entry queued;               // the bytes of these while the task waits
  SharedBlock results;                     // a chunk's, written by the workers
  std::shared_ptr<SharedBlock> callable;   // sent once for many tasks
  std::shared_ptr<const KeptBlocks> kept;  // what the callable and the arguments name; null: nothing
  std::string label;
  std::size_t first_position = 0;        // of a chunk's first item, or of a single item, in its map
  std::size_t items = 0;                 // of a chunk; 0: a single task
  bool has_position = false;             // it belongs to a map
  bool is_measured = false;              // `results` holds TaskNumbers
  bool has_item_blocks = false;          // a chunk whose results are ItemBlocks
  bool has_own_result = false;           // a chunk that is worth nothing without the result of its task
  std::vector<ItemLoss> item_losses;     // of a chunk
  std::unique_ptr<Tries> tries;          // null: one try, without a deadline; the supervisor's alone, as the next one
  std::atomic<bool> is_unwanted{false};  // the future's owner has asked it to stop, or killed it
  std::atomic<bool> has_begun{false};    // it has run; stored before the word says Queued again, or Cancelled
  std::atomic<int> references{1};        // futures and continuations that will read the result
  std::atomic<bool> was_read{false};     // by one of those who have gone: a failure has been told
  std::vector<Watcher*> more_watchers;   // beside the first; under the completion hub's lock
  ContinuationQueue continuations;       // to run when it has ended; under the completion hub's lock
  std::exception_ptr loss;               // why the task is Lost; under the exchange's lock, as the next two
  const char* cancellation = nullptr;    // why it is Cancelled, if there is more to say than that
  std::shared_ptr<void> local_result;    // of a task that ran in this process
  bool has_local_result = false;         // it may have been taken since; under the exchange's lock
  std::shared_ptr<Upstream> upstream;    // of a continuation; set before its future is given out
};

}  // namespace procpool::detail
