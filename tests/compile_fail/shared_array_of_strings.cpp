// expect: elements of a SharedArray.*plain bytes.*std::array.*is_plain_data
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/pool/shared_array.hpp>

void use(const procpool::SharedArray<std::string>& names) { static_cast<void>(names.size()); }
