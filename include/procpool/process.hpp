// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a process may use, and how it waits.

#include <procpool/process/usable_cpus.hpp>
#include <procpool/process/wait_policy.hpp>
#include <procpool/process/worker_limits.hpp>
