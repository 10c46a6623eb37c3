# SPDX-License-Identifier: BSL-1.0
#
# The fuzz targets: a program and a ctest for each NAME_fuzz.cpp. With PROCPOOL_FUZZ they are built in place of the
# tests, which need not know libFuzzer's ways.

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR NOT Python3_FOUND)
  message(FATAL_ERROR "The fuzz targets need Clang with libFuzzer (`cmake --preset fuzz`; Debian: clang-16, "
                      "libclang-rt-16-dev) and Python 3.9 or later. On Debian 12, `sh scripts/setup` installs them.")
endif()

set(procpool_fuzz_folder "${CMAKE_CURRENT_LIST_DIR}")
file(GLOB procpool_fuzz_targets CONFIGURE_DEPENDS "${procpool_fuzz_folder}/*_fuzz.cpp")
foreach(source IN LISTS procpool_fuzz_targets)
  get_filename_component(program "${source}" NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name "${program}")
  add_executable(${program} "${source}")
  target_link_libraries(${program} PRIVATE procpool::procpool)
  # The checks of the standard library, too, but what of its functions an input reaches guides nobody. A stack in memory
  # of its own, and a note of each comparison, would each cost a third of the speed.
  target_compile_definitions(${program} PRIVATE _GLIBCXX_ASSERTIONS)
  target_compile_options(${program} PRIVATE -fsanitize=fuzzer -fno-sanitize-coverage=trace-cmp
                                            "-fsanitize-coverage-ignorelist=${procpool_fuzz_folder}/uncounted.txt"
                                            -fsanitize-address-use-after-return=never)
  set_property(SOURCE "${source}" APPEND PROPERTY OBJECT_DEPENDS "${procpool_fuzz_folder}/uncounted.txt")
  if(name STREQUAL "row")  # In the others exceptions take the time, which become no faster by that.
    target_compile_options(${program} PRIVATE -O2)
  endif()
  target_link_options(${program} PRIVATE -fsanitize=fuzzer)
  add_test(NAME fuzz.${name} COMMAND "${Python3_EXECUTABLE}" -B "${procpool_fuzz_folder}/run_fuzz.py"
                                     $<TARGET_FILE:${program}> "${procpool_fuzz_folder}/seeds/${name}"
                                     "${PROJECT_BINARY_DIR}/findings/${name}")
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 86400)
endforeach()
