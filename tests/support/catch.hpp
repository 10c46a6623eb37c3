// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Catch2, version 3 or 2, whichever is installed, under the names of version 3.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>

namespace Catch {

using Detail::Approx;

namespace Matchers {

// NOLINTNEXTLINE(readability-identifier-naming): Catch2's own name for it
[[nodiscard]] inline auto ContainsSubstring(const std::string& text) { return Contains(text); }

}  // namespace Matchers
}  // namespace Catch
#endif
