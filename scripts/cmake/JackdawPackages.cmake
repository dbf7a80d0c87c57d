# JackdawPackages.cmake - the packages of a system that has pkg-config; included where there is one.
# SPDX-License-Identifier: Apache-2.0
find_package(PkgConfig REQUIRED)

option(JACKDAW_HWLOC "Learn caches and NUMA nodes from hwloc; off: all CPUs are equally near" ON)
if(JACKDAW_HWLOC)
	pkg_check_modules(JACKDAW_HWLOC REQUIRED IMPORTED_TARGET hwloc)
endif()
option(JACKDAW_URCU "Free replaced buffers early, with liburcu; off: at the scheduler's end" ON)
if(JACKDAW_URCU)
	pkg_check_modules(JACKDAW_URCU REQUIRED IMPORTED_TARGET liburcu)
endif()

# What the installed pkg-config file adds for a static link. Not Requires.private: that would ask
# users of the shared library for these packages too, and hwloc's own private libraries (libudev)
# come with no package that libhwloc-dev depends on.
if(JACKDAW_HWLOC)
	list(JOIN JACKDAW_HWLOC_LDFLAGS " " jd_hwloc_flags)
	string(PREPEND JACKDAW_PC_LIBS_PRIVATE "${jd_hwloc_flags} ")
endif()
if(JACKDAW_URCU)
	list(JOIN JACKDAW_URCU_LDFLAGS " " jd_urcu_flags)
	string(PREPEND JACKDAW_PC_LIBS_PRIVATE "${jd_urcu_flags} ")
endif()
if(CMAKE_DL_LIBS) # platform/gcd
	string(PREPEND JACKDAW_PC_LIBS_PRIVATE "-l${CMAKE_DL_LIBS} ")
endif()

# Only executables link jemalloc (it replaces malloc for the whole process); the core never does.
pkg_check_modules(JACKDAW_JEMALLOC IMPORTED_TARGET jemalloc)
