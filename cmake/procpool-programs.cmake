# SPDX-License-Identifier: BSL-1.0
#
# How procpool's own programs (tests, examples, benchmarks) are compiled. None of it reaches a user of the library.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# Directory-wide: the test that compiles each header by itself takes them from here.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion)
# GCC 12 takes the unused bytes of an empty std::optional for a value, once it has inlined everything.
add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
if(PROCPOOL_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
if(PROCPOOL_SANITIZE)
  list(JOIN PROCPOOL_SANITIZE "," procpool_sanitizers)
  add_compile_options(-fsanitize=${procpool_sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${procpool_sanitizers})
endif()

# A compiler cache, where there is one. It takes precompiled headers only when told what may differ.
find_program(PROCPOOL_CCACHE ccache)
if(PROCPOOL_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "env;CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${PROCPOOL_CCACHE}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()
