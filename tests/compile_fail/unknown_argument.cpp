// expect: nothing is known of how to send this type.*Give it a .serialize
// SPDX-License-Identifier: BSL-1.0

#include <mutex>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, const std::mutex& mutex) { encoding.add(mutex); }
