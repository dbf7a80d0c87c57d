# JackdawDependencies.cmake - finds what the core library needs, the same way in-tree and installed.
# SPDX-License-Identifier: Apache-2.0
#
# None of these packages ships a CMake config on the distributions we know: pkg-config finds them.
# The target names (PkgConfig::JACKDAW_*) are part of the installed static library's interface:
# scripts/cmake/jackdawConfig.cmake.in makes them again on the user's machine.
find_package(Threads REQUIRED)

# What the port itself links; packages that Windows has not got are not looked for, as pkg-config
# would find those of the building machine.
set(JACKDAW_SYSTEM_LIBS)
if(WIN32)
	set(JACKDAW_SYSTEM_LIBS bcrypt synchronization winmm)
	set(JACKDAW_THREAD_LIBS) # the system's own; only tests use pthreads
	set(JACKDAW_PC_LIBS_PRIVATE "-lbcrypt -lsynchronization -lwinmm")
	set(JACKDAW_HWLOC OFF)
	set(JACKDAW_URCU OFF)
	set(JACKDAW_JEMALLOC_FOUND OFF)
else()
	set(JACKDAW_THREAD_LIBS Threads::Threads)
	set(JACKDAW_PC_LIBS_PRIVATE "-pthread")
	include(JackdawPackages)
endif()

# True when the compiler flags instrument the code: jemalloc, the package tests and the symbol
# check make no sense there.
if("${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${CMAKE_BUILD_TYPE}}" MATCHES "-fsanitize|--coverage")
	set(JACKDAW_INSTRUMENTED ON)
else()
	set(JACKDAW_INSTRUMENTED OFF)
endif()
