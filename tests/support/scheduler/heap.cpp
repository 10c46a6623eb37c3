// SPDX-License-Identifier: BSL-1.0

/// @file
/// Memory that is given back: no store that waits may come to it later. The linker leads what frees memory here
/// (--wrap), and what __real_… names to the libraries.

#include <cstddef>
#include <new>

#include "run.hpp"

namespace {

void write_what_waits() {
  if (model::Run* run = model::Run::current()) run->self().stores.drain_all();
}

}  // namespace

extern "C" {

void __real_free(void* memory);
void __real__ZdlPv(void* memory);
void __real__ZdlPvm(void* memory, std::size_t size);
void __real__ZdlPvSt11align_val_t(void* memory, std::align_val_t alignment);
void __real__ZdlPvmSt11align_val_t(void* memory, std::size_t size, std::align_val_t alignment);

void __wrap_free(void* memory) {
  write_what_waits();
  __real_free(memory);
}

void __wrap__ZdlPv(void* memory) {
  write_what_waits();
  __real__ZdlPv(memory);
}

void __wrap__ZdlPvm(void* memory, std::size_t size) {
  write_what_waits();
  __real__ZdlPvm(memory, size);
}

void __wrap__ZdlPvSt11align_val_t(void* memory, std::align_val_t alignment) {
  write_what_waits();
  __real__ZdlPvSt11align_val_t(memory, alignment);
}

void __wrap__ZdlPvmSt11align_val_t(void* memory, std::size_t size, std::align_val_t alignment) {
  write_what_waits();
  __real__ZdlPvmSt11align_val_t(memory, size, alignment);
}

}  // extern "C"
