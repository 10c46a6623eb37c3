// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Everything that procpool has.

#include <procpool/error.hpp>
#include <procpool/future.hpp>
#include <procpool/pool.hpp>
#include <procpool/process.hpp>
#include <procpool/serial.hpp>
#include <procpool/task.hpp>
