// expect: no matching.*borrow|invalid reference to function 'borrow'
// SPDX-License-Identifier: BSL-1.0

#include <procpool/future/future.hpp>

void read(procpool::Future<void> done) { static_cast<void>(done.borrow()); }
