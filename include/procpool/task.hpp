// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The terms of tasks, how far they are, and what they use.

#include <procpool/task/priority.hpp>
#include <procpool/task/progress.hpp>
#include <procpool/task/task_options.hpp>
#include <procpool/task/usage.hpp>
