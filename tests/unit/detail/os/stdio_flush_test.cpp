// SPDX-License-Identifier: BSL-1.0

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>

#include <procpool/detail/os/stdio_flush.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"

using procpool::detail::StreamWatch;

namespace {

/// What was written to where standard output of this process leads.
class Written {
 public:
  explicit Written(int stream) : file_(::memfd_create("written", MFD_CLOEXEC)) {
    procpool::detail::purge_standard_streams();  // The parent writes out what it has left there.
    ::dup2(file_, stream);
  }
  [[nodiscard]] std::string text() const {
    std::array<char, 100> read{};
    return {read.data(), static_cast<std::size_t>(::pread(file_, read.data(), read.size(), 0))};
  }

 private:
  int file_;
};

}  // namespace

TEST_CASE("a watch of the streams sees what is written to each, and writes it out") {
  CHECK(true_in_child([] {
    const Written out(STDOUT_FILENO);
    ::setvbuf(stdout, nullptr, _IOFBF, 1 << 12);
    StreamWatch watch;
    if (watch.has_changed()) return false;
    ::fputs("one", stdout);
    if (!watch.has_changed() || !out.text().empty()) return false;
    watch.flush();
    return !watch.has_changed() && out.text() == "one";
  }));
  CHECK(true_in_child([] {
    const Written err(STDERR_FILENO);
    ::setvbuf(stderr, nullptr, _IOFBF, 1 << 12);
    StreamWatch watch;
    ::fputs("one", stderr);
    if (!watch.has_changed()) return false;
    watch.flush();
    return !watch.has_changed() && err.text() == "one";
  }));
}

TEST_CASE("a watch of the streams begins with nothing in them") {
  CHECK(true_in_child([] {
    const Written out(STDOUT_FILENO);
    ::setvbuf(stdout, nullptr, _IOFBF, 1 << 12);
    ::fputs("before", stdout);
    const StreamWatch watch;
    return !watch.has_changed() && out.text() == "before";
  }));
}

TEST_CASE("a watch of the streams sees text in a buffer that a stream was given later") {
  CHECK(true_in_child([] {
    const Written out(STDOUT_FILENO);
    ::setvbuf(stdout, nullptr, _IONBF, 0);
    StreamWatch watch;
    static std::array<char, 1 << 12> buffer;
    ::setvbuf(stdout, buffer.data(), _IOFBF, buffer.size());
    ::fputs("one", stdout);
    if (!watch.has_changed()) return false;
    watch.flush();
    return out.text() == "one";
  }));
}
