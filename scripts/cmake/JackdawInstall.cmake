# JackdawInstall.cmake - what is installed: headers, both libraries, CMake package, pkg-config file.
# SPDX-License-Identifier: Apache-2.0
#
# Two export sets, because a user of the shared library needs neither hwloc nor liburcu to link and
# must not be forced to have their development packages.
include(CMakePackageConfigHelpers)

set(jd_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/jackdaw")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/jackdaw"
	DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(TARGETS jackdaw EXPORT jackdawSharedTargets)
install(TARGETS jackdaw_static EXPORT jackdawStaticTargets)
install(EXPORT jackdawSharedTargets NAMESPACE jackdaw:: DESTINATION "${jd_cmake_dir}")
install(EXPORT jackdawStaticTargets NAMESPACE jackdaw:: DESTINATION "${jd_cmake_dir}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/jackdawConfig.cmake.in"
	"${PROJECT_BINARY_DIR}/jackdawConfig.cmake" INSTALL_DESTINATION "${jd_cmake_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/jackdawConfigVersion.cmake"
	COMPATIBILITY SameMinorVersion)
install(FILES
	"${PROJECT_BINARY_DIR}/jackdawConfig.cmake"
	"${PROJECT_BINARY_DIR}/jackdawConfigVersion.cmake"
	DESTINATION "${jd_cmake_dir}")

# The prefix is computed from where the .pc file lies, so that an installed tree may be moved.
cmake_path(SET jd_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
	BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}/${jd_pc_dir}" OUTPUT_VARIABLE JACKDAW_PC_UP)
configure_file("${CMAKE_CURRENT_LIST_DIR}/jackdaw.pc.in" "${PROJECT_BINARY_DIR}/jackdaw.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/jackdaw.pc" DESTINATION "${jd_pc_dir}")
