// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The terms of tasks, and how far they are.

#include <procpool/task/priority.hpp>
#include <procpool/task/progress.hpp>
#include <procpool/task/task_options.hpp>
