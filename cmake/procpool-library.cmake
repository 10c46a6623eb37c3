# SPDX-License-Identifier: BSL-1.0
#
# The target procpool::procpool and its installation. A header is added by adding its file.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

file(GLOB_RECURSE procpool_headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/*.hpp")

add_library(procpool INTERFACE)
add_library(procpool::procpool ALIAS procpool)
target_compile_features(procpool INTERFACE cxx_std_20)
# The C library before version 2.34 has shm_open in librt and dladdr in libdl.
target_link_libraries(procpool INTERFACE Boost::headers cereal::cereal Threads::Threads rt ${CMAKE_DL_LIBS})
if(PROCPOOL_WITH_LIBBACKTRACE)
  target_link_libraries(procpool INTERFACE procpool::libbacktrace)
endif()
target_sources(
  procpool
  INTERFACE FILE_SET HEADERS
            BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
            FILES ${procpool_headers})

install(TARGETS procpool EXPORT procpool-targets FILE_SET HEADERS)

set(procpool_package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/procpool")
install(
  EXPORT procpool-targets
  NAMESPACE procpool::
  DESTINATION "${procpool_package_folder}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/procpool-config.cmake.in" procpool-config.cmake
                              INSTALL_DESTINATION "${procpool_package_folder}")
write_basic_package_version_file(procpool-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(
  FILES "${PROJECT_BINARY_DIR}/procpool-config.cmake" "${PROJECT_BINARY_DIR}/procpool-config-version.cmake"
        "${CMAKE_CURRENT_LIST_DIR}/procpool-dependencies.cmake"
  DESTINATION "${procpool_package_folder}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
