// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Everything in procpool/future: the results of tasks, and waiting for one, several, or all of them.

#include <procpool/future/as_completed.hpp>
#include <procpool/future/awaiter.hpp>
#include <procpool/future/borrowed.hpp>
#include <procpool/future/future.hpp>
#include <procpool/future/future_range.hpp>
#include <procpool/future/futures_unfinished.hpp>
#include <procpool/future/outcome.hpp>
#include <procpool/future/shared_future.hpp>
#include <procpool/future/wait.hpp>
#include <procpool/future/when_all.hpp>
