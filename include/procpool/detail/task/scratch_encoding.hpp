// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// An Encoding that keeps its memory from task to task, one per thread.

#include <memory>
#include <utility>

#include <procpool/serial/encoding.hpp>

namespace procpool::detail {

/// Borrows the thread's Encoding. Code of the user's that encodes meanwhile, and submits in turn, gets one of its own.
class ScratchEncoding {
 public:
  ScratchEncoding() : encoding_(std::move(kept())) {
    if (!encoding_) encoding_ = std::make_unique<Encoding>();
  }
  ScratchEncoding(const ScratchEncoding&) = delete;
  ScratchEncoding& operator=(const ScratchEncoding&) = delete;
  ~ScratchEncoding() {
    encoding_->clear();
    kept() = std::move(encoding_);
  }

  Encoding* operator->() const noexcept { return encoding_.get(); }
  Encoding& operator*() const noexcept { return *encoding_; }

 private:
  static std::unique_ptr<Encoding>& kept() {
    thread_local std::unique_ptr<Encoding> encoding;
    return encoding;
  }

  std::unique_ptr<Encoding> encoding_;
};

}  // namespace procpool::detail
