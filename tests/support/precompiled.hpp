// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What is compiled once for all tests; a test includes what it uses all the same.

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "catch.hpp"
