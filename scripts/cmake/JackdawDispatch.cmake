# JackdawDispatch.cmake - finds libdispatch: Apple's, a distribution's, a Swift toolchain's.
# SPDX-License-Identifier: Apache-2.0
#
# Sets JACKDAW_GCD_FOUND and, off Apple, JACKDAW_DISPATCH_INCLUDE_DIR (has dispatch/dispatch.h) and
# JACKDAW_DISPATCH_LIBRARY. Nothing is linked: platform/gcd/gcd_scheduler.c loads the library.
option(JACKDAW_GCD "Build the scheduler over Grand Central Dispatch where libdispatch is found" ON)
set(JACKDAW_DISPATCH_ROOT "" CACHE PATH
	"The only place to look for libdispatch: a Swift toolchain, or what has include/ and lib/")

# Sets JACKDAW_GCD_FOUND when a program that uses these headers compiles and links.
function(jd_dispatch_try include_dir library)
	# The same lines as in the source that uses it; see there.
	set(program [[
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
#define __has_feature(x) 0
#define __has_extension(x) 0
#endif
#include <dispatch/dispatch.h>
static void run(void *arg) { (void)arg; }
int main(void)
{
	dispatch_source_t s = dispatch_source_create(DISPATCH_SOURCE_TYPE_TIMER, 0, 0,
		dispatch_queue_create("q", dispatch_queue_attr_make_with_qos_class(0, 0x21, 0)));
	dispatch_source_set_event_handler_f(s, run);
	dispatch_activate(s);
	dispatch_async_f(dispatch_get_global_queue(0x15, 0), 0, run);
	return 0;
}
]])
	set(scratch "${CMAKE_CURRENT_BINARY_DIR}/dispatch")
	file(WRITE "${scratch}/dispatch.c" "${program}")
	unset(works CACHE)
	try_compile(works "${scratch}" "${scratch}/dispatch.c"
		CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${include_dir}"
		LINK_LIBRARIES ${library})
	set(JACKDAW_GCD_FOUND ${works} PARENT_SCOPE)
	unset(works CACHE)
endfunction()

# Looks under these folders, or in the usual ones when there are none.
function(jd_dispatch_look)
	set(where)
	if(ARGN)
		set(where PATHS ${ARGN} NO_DEFAULT_PATH)
	endif()
	string(TOLOWER "${CMAKE_SYSTEM_NAME}" os)
	set(libs ${os} ${os}/${CMAKE_SYSTEM_PROCESSOR})
	set(swift_libs ${libs})
	list(TRANSFORM swift_libs PREPEND lib/swift/)
	set(usr_libs lib lib64 ${swift_libs})
	list(TRANSFORM usr_libs PREPEND usr/)
	find_path(include_dir dispatch/dispatch.h ${where} NO_CACHE
		PATH_SUFFIXES include lib/swift usr/lib/swift usr/include)
	find_library(library dispatch ${where} NO_CACHE
		PATH_SUFFIXES ${libs} lib lib64 ${swift_libs} ${usr_libs})
	if(include_dir AND library)
		jd_dispatch_try("${include_dir}" "${library}")
		set(JACKDAW_GCD_FOUND ${JACKDAW_GCD_FOUND} PARENT_SCOPE)
		set(JACKDAW_DISPATCH_INCLUDE_DIR "${include_dir}" PARENT_SCOPE)
		set(JACKDAW_DISPATCH_LIBRARY "${library}" PARENT_SCOPE)
	endif()
endfunction()

# The folders of the Swift toolchain in PATH: the one it names, the one beside the program.
function(jd_dispatch_swift_folders out)
	set(folders)
	# Some systems have another program of the name swift, but none that is called swiftc.
	find_program(swift NAMES swiftc swift NO_CACHE)
	if(swift)
		execute_process(COMMAND "${swift}" -print-target-info
			OUTPUT_VARIABLE info ERROR_QUIET RESULT_VARIABLE failed TIMEOUT 30)
		if(NOT failed)
			string(JSON folder ERROR_VARIABLE wrong
				GET "${info}" paths runtimeResourcePath)
			if(NOT wrong)
				list(APPEND folders "${folder}")
			endif()
		endif()
		file(REAL_PATH "${swift}" swift)
		cmake_path(GET swift PARENT_PATH bin)
		list(APPEND folders "${bin}/../lib/swift")
	endif()
	set(${out} ${folders} PARENT_SCOPE)
endfunction()

set(JACKDAW_GCD_FOUND OFF)
if(NOT JACKDAW_GCD)
	set(jd_gcd "no GCD scheduler: JACKDAW_GCD is off")
elseif(APPLE)
	jd_dispatch_try("" "")
	set(jd_gcd "GCD scheduler: the system's libdispatch")
elseif(JACKDAW_DISPATCH_ROOT)
	jd_dispatch_look("${JACKDAW_DISPATCH_ROOT}")
else()
	jd_dispatch_look()
	if(NOT JACKDAW_GCD_FOUND)
		jd_dispatch_swift_folders(jd_swift_folders)
		if(jd_swift_folders)
			jd_dispatch_look(${jd_swift_folders})
		endif()
	endif()
endif()
if(JACKDAW_GCD_FOUND AND NOT APPLE)
	set(jd_gcd "GCD scheduler: ${JACKDAW_DISPATCH_LIBRARY}")
elseif(JACKDAW_GCD AND NOT JACKDAW_GCD_FOUND)
	set(jd_gcd "no GCD scheduler: found no libdispatch (JACKDAW_DISPATCH_ROOT names a place)")
endif()
message(STATUS "jackdaw: ${jd_gcd}")
