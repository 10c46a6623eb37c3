// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// All exceptions that procpool throws.

#include <procpool/error/crash_stack.hpp>
#include <procpool/error/error.hpp>
#include <procpool/error/message.hpp>
#include <procpool/error/pool_errors.hpp>
#include <procpool/error/remote_error.hpp>
#include <procpool/error/worker_died.hpp>
