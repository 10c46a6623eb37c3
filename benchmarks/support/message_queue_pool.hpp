// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Two of Boost.Interprocess's message queues, one for tasks and one for results, and forked workers between them, as
/// the questions see a pool: what a person would write who needs one and has Boost.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include <boost/interprocess/ipc/message_queue.hpp>

#include "ping_pong.hpp"

namespace bench {

class MessageQueuePool {
 public:
  static constexpr std::string_view name = "message_queue";

  /// The result of the task with that number.
  struct Future {
    MessageQueuePool* pool;
    std::uint32_t number;

    int get() { return pool->await(number); }
  };

  explicit MessageQueuePool(int workers) {
    for (int i = 0; i < workers; ++i) {
      workers_.emplace_back([this] { serve(); });
    }
  }

  MessageQueuePool(const MessageQueuePool&) = delete;
  MessageQueuePool& operator=(const MessageQueuePool&) = delete;

  Future submit(int (*function)(int), int argument) {
    const std::uint32_t number = next_++;
    const Task task{function, argument, number};
    tasks_.queue.send(&task, sizeof task, 0);
    return {this, number};
  }

 private:
  /// A worker runs the same program as its parent, so functions have the same addresses.
  struct Task {
    int (*function)(int);
    int argument;
    std::uint32_t number;
  };

  struct Result {
    std::uint32_t number;
    int value;
  };

  struct Slot {
    bool is_there = false;
    int value = 0;
  };

  /// More than tasks are ever submitted before a get: with less, a worker would wait for the parent to take results
  /// while the parent waits for it to take tasks.
  static constexpr std::size_t capacity = std::size_t{1} << 17;

  /// A queue whose name is gone as soon as the queue is there: forked workers need none.
  struct Queue {
    Queue(const std::string& name, std::size_t message_size)
        : queue{boost::interprocess::create_only, name.c_str(), capacity, message_size} {
      boost::interprocess::message_queue::remove(name.c_str());
    }

    boost::interprocess::message_queue queue;
  };

  static std::string name_of(std::string_view what) {
    return "procpool_bench_" + std::to_string(getpid()) + "_" + std::string{what};
  }

  void serve() {
    Task task{};
    std::size_t size = 0;
    unsigned priority = 0;
    tasks_.queue.receive(&task, sizeof task, size, priority);
    const Result result{task.number, task.function(task.argument)};
    results_.queue.send(&result, sizeof result, 0);
  }

  /// Takes results, which come in any order, until that of task `number` is there.
  int await(std::uint32_t number) {
    Slot& wanted = slots_[number % capacity];
    while (!wanted.is_there) {
      Result result{};
      std::size_t size = 0;
      unsigned priority = 0;
      results_.queue.receive(&result, sizeof result, size, priority);
      slots_[result.number % capacity] = {true, result.value};
    }
    wanted.is_there = false;
    return wanted.value;
  }

  Queue tasks_{name_of("tasks"), sizeof(Task)};
  Queue results_{name_of("results"), sizeof(Result)};
  std::vector<Slot> slots_{capacity};
  std::uint32_t next_ = 0;
  std::list<Partner> workers_;
};

}  // namespace bench
