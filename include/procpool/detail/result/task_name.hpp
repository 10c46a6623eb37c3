// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How errors name a task.

#include <cstddef>
#include <optional>
#include <string>

#include <procpool/detail/result/task_note.hpp>
#include <procpool/error/message.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

/// As `task "score"`, `item 3 of task "score"` or `a map`; of a chunk `the chunk of items 0 to 3 of a map`, unless one
/// `item`, by its position in the map, is meant. `note` is null for a task of which no more is known.
[[nodiscard, gnu::cold]] inline std::string name_of(const TaskNote* note, std::optional<std::size_t> item = {}) {
  if (note == nullptr) return "a task";
  const bool is_chunk = !item && note->has_position && note->items > 1;
  if (note->has_position && !item) item = note->first_position;
  const std::string items = is_chunk ? message({"the chunk of items ", *item, " to ", *item + note->items - 1, " of "})
                            : item   ? message({"item ", *item, " of "})
                                     : "";
  const std::string task = !note->label.empty() ? message({"task \"", note->label, "\""}) : item ? "a map" : "a task";
  return items + task;
}

/// What a worker left of the task makes no sense; `how` goes on where the task was named.
[[nodiscard, gnu::cold]] inline SerializationError damage(const char* what, const std::string& task,
                                                          const std::string& how) {
  return SerializationError(
      message({what, task, " ", how, "; some worker's task wrote to memory that is not its own"}));
}

/// The bytes are not what a value of the type leaves, for the reason that `error` tells.
[[nodiscard, gnu::cold]] inline SerializationError unreadable_result(const std::string& task,
                                                                     const SerializationError& error) {
  return SerializationError(message({"the result of ", task, " cannot be read: ", error.what(),
                                     "; its type does not load what it saves, or some worker's task wrote to memory "
                                     "that is not its own"}));
}

}  // namespace procpool::detail
