# SPDX-License-Identifier: BSL-1.0
#
# What a program that uses procpool needs. The project itself and the installed package both include this file.
# Nothing is downloaded; what is missing is named, with the package that brings it.

set(procpool_missing "")

find_package(Threads QUIET)
if(NOT TARGET Threads::Threads)
  list(APPEND procpool_missing "a thread library")
endif()

# Boost's own package first: CMake's FindBoost is on its way out.
find_package(Boost 1.81 QUIET CONFIG)
if(NOT TARGET Boost::headers)
  find_package(Boost 1.81 QUIET MODULE)
endif()
if(NOT TARGET Boost::headers)
  list(APPEND procpool_missing "Boost 1.81 or later (Debian: libboost1.81-dev; or say -DBoost_ROOT=FOLDER)")
endif()

find_package(cereal 1.3 QUIET CONFIG)
if(NOT TARGET cereal::cereal)
  list(APPEND procpool_missing "cereal 1.3 or later (Debian: libcereal-dev; or say -Dcereal_ROOT=FOLDER)")
endif()

# GCC brings libbacktrace and its header in a folder of its own, where Clang looks for libraries too.
if(PROCPOOL_WITH_LIBBACKTRACE AND NOT TARGET procpool::libbacktrace)
  find_library(procpool_libbacktrace backtrace HINTS ${CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES})
  list(TRANSFORM CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES APPEND /include OUTPUT_VARIABLE procpool_compiler_folders)
  find_file(procpool_backtrace_header backtrace.h HINTS ${procpool_compiler_folders})
  if(procpool_libbacktrace AND procpool_backtrace_header)
    add_library(procpool::libbacktrace INTERFACE IMPORTED)
    target_link_libraries(procpool::libbacktrace INTERFACE "${procpool_libbacktrace}")
    # The definitions are for Boost.Stacktrace: a program that uses it itself must use it in the same way.
    target_compile_definitions(
      procpool::libbacktrace
      INTERFACE PROCPOOL_WITH_LIBBACKTRACE BOOST_STACKTRACE_USE_BACKTRACE
                "BOOST_STACKTRACE_BACKTRACE_INCLUDE_FILE=\"${procpool_backtrace_header}\"")
  else()
    list(APPEND procpool_missing "libbacktrace (it comes with GCC; or turn PROCPOOL_WITH_LIBBACKTRACE off)")
  endif()
endif()

if(procpool_missing)
  list(JOIN procpool_missing "\n  " procpool_missing)
  if(CMAKE_FIND_PACKAGE_NAME STREQUAL "procpool")
    set(procpool_FOUND FALSE)
    set(procpool_NOT_FOUND_MESSAGE "procpool needs, and CMake does not find:\n  ${procpool_missing}")
  else()
    message(FATAL_ERROR "procpool needs, and CMake does not find:\n  ${procpool_missing}\n"
                        "On Debian 12, `sh scripts/setup` installs all of it.")
  endif()
endif()
