// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Caps the threads that numerical libraries start by themselves.

#include <dlfcn.h>

#include <initializer_list>

namespace procpool::detail {

/// The function of that name in the program or a library that it has loaded; null if there is none.
[[nodiscard]] inline void* find_loaded_function(const char* name) noexcept { return ::dlsym(RTLD_DEFAULT, name); }

/// Tells OpenMP, OpenBLAS and MKL, whichever of them are loaded, to use at most `count` threads each in this process. A
/// worker calls it before the initializer: N workers that each start N threads would fight over N CPUs. Environment
/// variables would come too late, for the libraries read them when they are loaded.
template <class Find = void* (*)(const char*)>
void cap_library_threads(int count, Find find = find_loaded_function) {
  // The upper-case name is MKL's C function; the lower-case one takes a pointer.
  for (const char* name : {"omp_set_num_threads", "openblas_set_num_threads", "MKL_Set_Num_Threads"}) {
    if (void* function = find(name)) reinterpret_cast<void (*)(int)>(function)(count);
  }
}

}  // namespace procpool::detail
