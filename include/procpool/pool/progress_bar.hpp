// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A progress bar for a terminal.

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <procpool/detail/pool/progress_line.hpp>
#include <procpool/task/progress.hpp>

namespace procpool {

/// Draws how far a verb has come on one line of a terminal, and draws nothing where there is none:
///
///     checksums ━━━━━━━━━━━━━━━──────── 66 %  17212/26140  5230/s  0:01 left
///
/// Without a known total it shows what is done so far. The line is ended when all is done, or when the last copy of the
/// bar goes. Copies draw the same line, so that one bar may be handed to several verbs, one after the other; its clock
/// starts when it is made, when a verb ends, and when it is told of nothing done. Any thread may call it. In a process
/// forked by the one that made it, a bar does nothing.
class ProgressBar {
 public:
  /// Draws on the terminal `fd`, which stays the caller's.
  explicit ProgressBar(int fd = STDERR_FILENO);

  /// Draws `progress` over what was drawn before.
  void operator()(const Progress& progress) const;

 private:
  class Line;

  std::shared_ptr<Line> line_;
};

namespace detail {

/// True if the environment says that text is UTF-8.
inline bool is_locale_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    return locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos;
  }
  return false;
}

}  // namespace detail

/// The one line that all copies of a bar draw.
class ProgressBar::Line {
 public:
  explicit Line(int fd) : fd_(fd), is_terminal_(::isatty(fd) == 1), is_utf8_(detail::is_locale_utf8()) {}
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() { end(); }

  void draw(const Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  void end();
  void write(std::string_view text) const;
  [[nodiscard]] std::size_t terminal_columns() const;

  const int fd_;
  const bool is_terminal_;
  const bool is_utf8_;
  const ::pid_t maker_ = ::getpid();
  std::mutex mutex_;                        // guards what follows
  Clock::time_point start_ = Clock::now();  // of the verb that is shown
  std::size_t last_done_ = 0;
  std::size_t drawn_columns_ = 0;  // 0: the cursor stands at the start of a line
};

inline ProgressBar::ProgressBar(int fd) : line_(std::make_shared<Line>(fd)) {}

inline void ProgressBar::operator()(const Progress& progress) const { line_->draw(progress); }

inline void ProgressBar::Line::draw(const Progress& progress) {
  if (!is_terminal_ || ::getpid() != maker_) return;
  const std::lock_guard lock(mutex_);
  if (progress.done == 0 || progress.done < last_done_) start_ = Clock::now();  // a verb has begun
  last_done_ = progress.done;

  // The last column stays empty, for some terminals go to the next line as soon as it is written.
  const std::size_t columns = terminal_columns() - 1;
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  std::string line = detail::text_of({progress.done, progress.total, progress.label, elapsed, columns, is_utf8_});
  const std::size_t line_columns = detail::columns_of(line);
  // Blanks cover the rest of a longer line before; no control sequence is needed that a terminal may not know.
  const std::size_t covered = std::min(columns, std::max(drawn_columns_, line_columns));
  line.append(covered - std::min(covered, line_columns), ' ');
  write('\r' + line);
  drawn_columns_ = line_columns;
  if (progress.total != 0 && progress.done >= progress.total) end();
}

inline void ProgressBar::Line::end() {
  if (drawn_columns_ == 0 || ::getpid() != maker_) return;
  write("\n");
  drawn_columns_ = 0;
  last_done_ = 0;
  start_ = Clock::now();
}

inline void ProgressBar::Line::write(std::string_view text) const {
  while (!text.empty()) {
    const ::ssize_t bytes = ::write(fd_, text.data(), text.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return;  // a terminal that went away takes its bar with it
    text.remove_prefix(static_cast<std::size_t>(bytes));
  }
}

inline std::size_t ProgressBar::Line::terminal_columns() const {
  ::winsize size{};
  const bool is_known = ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return is_known ? size.ws_col : 80;
}

}  // namespace procpool
