// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>

#include <cstdlib>
#include <memory>

#include <procpool/detail/os/loaded_modules.hpp>

#include "../../../support/catch.hpp"

using namespace procpool::detail;

namespace {

int some_function() { return 1; }

const void* address_of(int (*function)()) { return reinterpret_cast<const void*>(function); }

struct Unloader {
  void operator()(void* library) const { ::dlclose(library); }
};

}  // namespace

TEST_CASE("code of the program and of its libraries is known") {
  const LoadedModules modules;
  CHECK(modules.has_code_at(address_of(&some_function)));
  CHECK(modules.has_code_at(reinterpret_cast<const void*>(&std::qsort)));
  CHECK(modules.has_code_at(address_of(&some_function)));
}

TEST_CASE("data and null are no code") {
  const LoadedModules modules;
  static int global = 0;
  const int local = 0;
  CHECK_FALSE(modules.has_code_at(&global));
  CHECK_FALSE(modules.has_code_at(&local));
  CHECK_FALSE(modules.has_code_at(nullptr));
}

TEST_CASE("code of a library that was loaded after the snapshot is not in it") {
  const LoadedModules before;
  const std::unique_ptr<void, Unloader> library(::dlopen("libthread_db.so.1", RTLD_LAZY | RTLD_LOCAL));
  REQUIRE(library != nullptr);
  const void* function = ::dlsym(library.get(), "td_init");
  REQUIRE(function != nullptr);
  CHECK_FALSE(before.has_code_at(function));
  CHECK(LoadedModules().has_code_at(function));
  CHECK(module_of(function).find("libthread_db") != std::string::npos);
}

TEST_CASE("a module is named for messages") {
  CHECK(module_of(address_of(&some_function)) == "the program");
  CHECK(module_of(nullptr).empty());
}
