// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The errors that need no more than a message.

#include <procpool/error/error.hpp>

namespace procpool {

/// The pool can run no task any more: its initializer failed, or it lost the process that makes its workers. Every
/// open future fails with it. Make another pool.
class BrokenPool : public Error {
 public:
  using Error::Error;
};

/// The pool was closed or terminated before the task could be taken or finished.
class PoolClosed : public Error {
 public:
  using Error::Error;
};

/// The task was cancelled before it ran, and never will run; or Future::kill() ended it.
class Cancelled : public Error {
 public:
  using Error::Error;
};

/// The task ran longer than TaskOptions::timeout. It was asked to stop, and its worker is killed if it does not within
/// TaskOptions::grace.
class TaskTimeout : public Error {
 public:
  using Error::Error;
};

/// The task waited for a worker longer than TaskOptions::queue_timeout; it never ran and never will.
class QueueTimeout : public Error {
 public:
  using Error::Error;
};

/// Bytes could not be turned back into a value: they are damaged, truncated, or were written as another type.
class SerializationError : public Error {
 public:
  using Error::Error;
};

/// An argument, a result or an object does not fit into the shared memory. The message names the limit and the option
/// that raises it.
class SharedMemoryExhausted : public Error {
 public:
  using Error::Error;
};

/// The process that held a lock died, and what the lock guards may be half written.
class OwnerDied : public Error {
 public:
  using Error::Error;
};

}  // namespace procpool
