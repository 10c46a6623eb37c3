// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The pool, and what tasks and callers say to it.

#include <procpool/pool/lazy_results.hpp>
#include <procpool/pool/pool_options.hpp>
#include <procpool/pool/pool_stats.hpp>
#include <procpool/pool/pool_with_terms.hpp>
#include <procpool/pool/process_pool.hpp>
#include <procpool/pool/progress_bar.hpp>
#include <procpool/pool/shared_array.hpp>
#include <procpool/pool/this_task.hpp>
#include <procpool/pool/this_worker.hpp>
#include <procpool/pool/verbs.hpp>
