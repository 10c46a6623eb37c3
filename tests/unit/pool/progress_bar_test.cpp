// SPDX-License-Identifier: BSL-1.0

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include <procpool/detail/os/unique_fd.hpp>
#include <procpool/pool/progress_bar.hpp>

#include "../../support/catch.hpp"
#include "../../support/in_child.hpp"

using procpool::Progress;
using procpool::ProgressBar;
using procpool::detail::UniqueFd;

namespace {

/// A terminal of which the test reads what is drawn on it.
class Terminal {
 public:
  explicit Terminal(unsigned short columns) : screen_(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) {
    ::grantpt(screen_.get());
    ::unlockpt(screen_.get());
    std::array<char, 128> name{};
    ::ptsname_r(screen_.get(), name.data(), name.size());
    program_ = UniqueFd(::open(name.data(), O_RDWR | O_NOCTTY));
    resize(columns);
    for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) ::unsetenv(variable);
  }

  void resize(unsigned short columns) const {
    const ::winsize size{24, columns, 0, 0};
    ::ioctl(program_.get(), TIOCSWINSZ, &size);
  }

  [[nodiscard]] int fd() const { return program_.get(); }

  /// What was drawn since the last call. What a program writes reaches the screen some time later, but in order: all is
  /// there once a mark has come that is written last.
  [[nodiscard]] std::string drawn() const {
    constexpr char mark = '\x01';
    std::string text;
    if (::write(program_.get(), &mark, 1) != 1) return "the terminal takes no text";
    std::array<char, 4096> piece{};
    while (!text.ends_with(mark)) {
      const ::ssize_t bytes = ::read(screen_.get(), piece.data(), piece.size());
      if (bytes > 0) text.append(piece.data(), static_cast<std::size_t>(bytes));
      else if (errno != EAGAIN && errno != EINTR) return "the terminal has ended";
    }
    text.pop_back();
    return text;
  }

 private:
  UniqueFd screen_;
  UniqueFd program_;
};

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a bar draws over its line, and ends it when all is done") {
  const Terminal terminal(60);
  ProgressBar bar(terminal.fd());
  bar({1, 4, "score"});
  const std::string first = terminal.drawn();
  CHECK(first.substr(0, 7) == "\rscore ");
  CHECK(contains(first, " 25 %  1/4"));
  CHECK_FALSE(contains(first, "\n"));
  bar({4, 4, "score"});
  const std::string last = terminal.drawn();
  CHECK(last.substr(0, 7) == "\rscore ");
  CHECK(contains(last, "100 %  4/4"));
  CHECK(last.substr(last.size() - 2) == "\r\n");
}

TEST_CASE("a shorter line covers the longer one before it") {
  const Terminal terminal(60);
  ProgressBar bar(terminal.fd());
  bar({123'456'789, 0, "a long label"});
  const std::size_t longer = terminal.drawn().size();
  bar({1, 0, ""});
  CHECK(terminal.drawn().size() == longer);
}

TEST_CASE("the last copy of a bar ends its line") {
  const Terminal terminal(60);
  std::optional<ProgressBar> bar(terminal.fd());
  std::function<void(const Progress&)> callback = *bar;
  callback({1, 0, ""});
  (void)terminal.drawn();
  bar.reset();
  CHECK(terminal.drawn().empty());
  callback = nullptr;
  CHECK(terminal.drawn() == "\r\n");
}

TEST_CASE("a bar that was never called, or has ended its line, leaves no trace") {
  const Terminal terminal(60);
  { const ProgressBar never_called(terminal.fd()); }
  CHECK(terminal.drawn().empty());
  {
    const ProgressBar bar(terminal.fd());
    bar({2, 2, ""});
    (void)terminal.drawn();
  }
  CHECK(terminal.drawn().empty());
}

TEST_CASE("a bar follows the width of its terminal") {
  const Terminal terminal(120);
  ProgressBar bar(terminal.fd());
  bar({1, 4, ""});
  const std::size_t wide = terminal.drawn().size();
  terminal.resize(30);
  bar({2, 4, ""});
  const std::size_t narrow = terminal.drawn().size();
  CHECK(wide > 60);
  CHECK(narrow <= 30);
}

TEST_CASE("a terminal that does not know its width has 80 columns") {
  const Terminal unknowing(0);
  const Terminal usual(80);
  const std::string label(200, 'x');
  ProgressBar{unknowing.fd()}({0, 4, label});
  ProgressBar{usual.fd()}({0, 4, label});
  CHECK(unknowing.drawn() == usual.drawn());
}

TEST_CASE("where no terminal is a bar writes nothing") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  { ProgressBar(writer.get())({1, 1, "score"}); }
  char byte = 0;
  CHECK(::read(reader.get(), &byte, 1) == -1);
}

TEST_CASE("in a forked process a bar does nothing") {
  const Terminal terminal(60);
  std::optional<ProgressBar> bar(terminal.fd());
  (*bar)({1, 4, ""});
  (void)terminal.drawn();
  CHECK(true_in_child([&] {
    (*bar)({2, 4, ""});
    bar.reset();
    return true;
  }));
  CHECK(terminal.drawn().empty());
}
