// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>

#include <string_view>

#include <procpool/detail/os/library_threads.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"

using namespace procpool::detail;

namespace {

int threads_of_openmp = 0;
int threads_of_openblas = 0;
int threads_of_mkl = 0;

void* find_fake(std::string_view name) {
  if (name == "omp_set_num_threads") return reinterpret_cast<void*>(+[](int count) { threads_of_openmp = count; });
  if (name == "openblas_set_num_threads") {
    return reinterpret_cast<void*>(+[](int count) { threads_of_openblas = count; });
  }
  if (name == "MKL_Set_Num_Threads") return reinterpret_cast<void*>(+[](int count) { threads_of_mkl = count; });
  return nullptr;
}

}  // namespace

TEST_CASE("the threads of OpenMP, OpenBLAS and MKL are capped by their own functions") {
  cap_library_threads(3, find_fake);
  CHECK(threads_of_openmp == 3);
  CHECK(threads_of_openblas == 3);
  CHECK(threads_of_mkl == 3);
}

TEST_CASE("where no such library is loaded nothing happens") {
  const auto find_nothing = [](const char*) -> void* { return nullptr; };
  CHECK_NOTHROW(cap_library_threads(1, find_nothing));
}

TEST_CASE("an OpenMP that the program has loaded is found") {
  CHECK(true_in_child([] {
    void* library = ::dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) return false;
    const auto max_threads = reinterpret_cast<int (*)()>(::dlsym(library, "omp_get_max_threads"));
    cap_library_threads(7);
    const bool raised = max_threads() == 7;
    cap_library_threads(1);
    return raised && max_threads() == 1;
  }));
}
