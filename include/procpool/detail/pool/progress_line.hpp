// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The text of a progress bar.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace procpool::detail {

/// What a line of progress tells, and how much room it has.
struct ProgressLine {
  std::size_t done;        // items
  std::size_t total;       // items; 0: not known
  std::string_view label;  // empty: none
  double elapsed;          // seconds
  std::size_t columns;     // at most that many, but for a count that needs more
  bool is_utf8 = false;    // may the line hold more than ASCII
};

/// One line that says how far a verb has come. What has no room is left out: first the bar, then the end of the label,
/// then the time, the rate and the count.
[[nodiscard]] inline std::string text_of(const ProgressLine& progress);

/// Columns that UTF-8 `text` takes, if each of its characters takes one.
inline std::size_t columns_of(std::string_view text) {
  const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

/// `label` in at most `columns`, without control characters, which would break the line.
inline std::string label_within(std::string_view label, std::size_t columns) {
  std::string shown;
  for (const char c : label) {
    shown += static_cast<unsigned char>(c) < ' ' || c == '\x7F' ? ' ' : c;
    if (columns_of(shown) <= columns) continue;
    shown.pop_back();
    break;
  }
  return shown;
}

template <class... Numbers>
std::string printed(const char* format, Numbers... numbers) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, numbers...);
  return text.data();
}

/// "0:07", "12:34", "1:02:03".
inline std::string clock_time(double seconds) {
  const auto all = static_cast<unsigned long>(std::min(seconds + 0.5, 3.6e9));
  const unsigned long hours = all / 3600;
  if (hours > 0) return printed("%lu:%02lu:%02lu", hours, all / 60 % 60, all % 60);
  return printed("%lu:%02lu", all / 60, all % 60);
}

/// "2.5 s each", "4.2/s", "5230/s", "17k/s", "3.2M/s".
inline std::string rate_text(double rate) {
  if (rate < 0.95) return printed("%.1f s each", 1 / rate);
  const char* unit = "";
  double limit = 9999.5;  // four digits without a unit, three with one
  for (const char* larger : {"k", "M", "G"}) {
    if (rate < limit) break;
    rate /= 1000;
    unit = larger;
    limit = 999.5;
  }
  return printed(rate < 9.95 ? "%.1f%s/s" : "%.0f%s/s", rate, unit);
}

/// A bar of `columns` of which `share` (0 to 1) is filled.
inline std::string bar_text(double share, std::size_t columns, bool is_utf8) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(columns));
  std::string bar;
  for (std::size_t i = 0; i < columns; ++i) bar += is_utf8 ? (i < filled ? "━" : "─") : (i < filled ? "#" : ".");
  return bar;
}

inline std::string text_of(const ProgressLine& progress) {
  const bool is_total_known = progress.total != 0;
  const bool is_complete = is_total_known && progress.done >= progress.total;
  const double done = static_cast<double>(progress.done);
  const double rate = progress.elapsed > 0 ? done / progress.elapsed : 0;
  const double share = is_total_known ? std::min(done / static_cast<double>(progress.total), 1.) : 0;
  const double left = rate > 0 ? (static_cast<double>(progress.total) - done) / rate : 0;

  std::string count = printed("%zu", progress.done);
  if (is_total_known) count += printed("/%zu", progress.total);
  std::string time = clock_time(progress.elapsed);
  if (is_total_known && !is_complete) time = rate > 0 ? clock_time(left) + " left" : "";
  const std::array<std::string, 3> facts = {count, rate > 0 ? rate_text(rate) : "", time};

  // The share is cut off, not rounded, so that 100 % means complete.
  std::string line = is_total_known ? printed("%3d %%", static_cast<int>(share * 100)) : "";
  for (const std::string& fact : facts) {
    if (fact.empty()) continue;
    const std::size_t gap = line.empty() ? 0 : 2;
    if (line.size() + gap + fact.size() > progress.columns) break;
    line += std::string(gap, ' ') + fact;
  }

  constexpr std::size_t shortest_bar = 8;
  constexpr std::size_t longest_bar = 40;
  // The columns of most facts are reserved, so that the bar keeps its length while the numbers grow.
  constexpr std::size_t usual_facts = 40;
  const std::size_t reserved = std::max(line.size(), progress.columns < 2 * usual_facts - 2 ? 0 : usual_facts) + 1;
  std::size_t room = progress.columns - std::min(progress.columns, reserved);
  const std::string label = label_within(progress.label, room);
  if (!label.empty()) room -= std::min(room, columns_of(label) + 1);
  if (is_total_known && room >= shortest_bar) {
    line = bar_text(share, std::min(room, longest_bar), progress.is_utf8) + ' ' + line;
  }
  if (!label.empty()) line = label + ' ' + line;
  return line;
}

}  // namespace procpool::detail
