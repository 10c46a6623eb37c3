// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What may cross between processes, and how.

#include <procpool/serial/archive.hpp>
#include <procpool/serial/arrival.hpp>
#include <procpool/serial/block_reader.hpp>
#include <procpool/serial/byte_buffer.hpp>
#include <procpool/serial/callable.hpp>
#include <procpool/serial/capture_check.hpp>
#include <procpool/serial/crossing.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/encoding.hpp>
#include <procpool/serial/exception_report.hpp>
#include <procpool/serial/exception_transport.hpp>
#include <procpool/serial/flat.hpp>
#include <procpool/serial/from_snapshot.hpp>
#include <procpool/serial/input_archive.hpp>
#include <procpool/serial/inspection.hpp>
#include <procpool/serial/known_exceptions.hpp>
#include <procpool/serial/member_count.hpp>
#include <procpool/serial/members.hpp>
#include <procpool/serial/output_archive.hpp>
#include <procpool/serial/partial.hpp>
#include <procpool/serial/pointer_free.hpp>
#include <procpool/serial/register_exception.hpp>
#include <procpool/serial/sent.hpp>
#include <procpool/serial/shape.hpp>
#include <procpool/serial/signature.hpp>
#include <procpool/serial/stack_guard.hpp>
#include <procpool/serial/standard_containers.hpp>
#include <procpool/serial/standard_pointers.hpp>
#include <procpool/serial/standard_type.hpp>
#include <procpool/serial/standard_wrappers.hpp>
#include <procpool/serial/type_kind.hpp>
