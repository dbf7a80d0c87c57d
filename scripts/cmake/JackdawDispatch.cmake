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

# Looks under this folder, or in the usual ones. (A find command looks for nothing when a variable
# of whoever embeds us has the name already: hence the prefix.)
function(jd_dispatch_look)
	set(where)
	if(ARGN)
		set(where PATHS "${ARGV0}" NO_DEFAULT_PATH)
	endif()
	string(TOLOWER "${CMAKE_SYSTEM_NAME}" os)
	set(libs ${os} ${os}/${CMAKE_SYSTEM_PROCESSOR})
	set(swift_libs ${libs})
	list(TRANSFORM swift_libs PREPEND lib/swift/)
	set(usr_libs lib lib64 ${swift_libs})
	list(TRANSFORM usr_libs PREPEND usr/)
	find_path(jd_dispatch_dir dispatch/dispatch.h ${where} NO_CACHE
		PATH_SUFFIXES include lib/swift usr/lib/swift usr/include)
	find_library(jd_dispatch_lib dispatch ${where} NO_CACHE
		PATH_SUFFIXES ${libs} lib lib64 ${swift_libs} ${usr_libs})
	if(jd_dispatch_dir AND jd_dispatch_lib)
		jd_dispatch_try("${jd_dispatch_dir}" "${jd_dispatch_lib}")
		set(JACKDAW_GCD_FOUND ${JACKDAW_GCD_FOUND} PARENT_SCOPE)
		set(JACKDAW_DISPATCH_INCLUDE_DIR "${jd_dispatch_dir}" PARENT_SCOPE)
		set(JACKDAW_DISPATCH_LIBRARY "${jd_dispatch_lib}" PARENT_SCOPE)
	endif()
endfunction()

# The folders of the Swift toolchain in PATH: the one it names, the one beside the program.
function(jd_dispatch_swift_folders out)
	set(folders)
	# Some systems have another program of the name swift, but none that is called swiftc.
	find_program(jd_swift NAMES swiftc swift NO_CACHE)
	if(jd_swift)
		execute_process(COMMAND "${jd_swift}" -print-target-info
			OUTPUT_VARIABLE info ERROR_QUIET RESULT_VARIABLE failed TIMEOUT 30)
		if(NOT failed)
			string(JSON folder ERROR_VARIABLE wrong
				GET "${info}" paths runtimeResourcePath)
			if(NOT wrong)
				list(APPEND folders "${folder}")
			endif()
		endif()
		file(REAL_PATH "${jd_swift}" jd_swift)
		cmake_path(GET jd_swift PARENT_PATH bin)
		cmake_path(SET beside NORMALIZE "${bin}/../lib/swift")
		list(APPEND folders "${beside}")
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
		foreach(jd_folder IN LISTS jd_swift_folders)
			if(NOT JACKDAW_GCD_FOUND)
				jd_dispatch_look("${jd_folder}")
			endif()
		endforeach()
	endif()
endif()
if(JACKDAW_GCD_FOUND AND NOT APPLE)
	set(jd_gcd "GCD scheduler: ${JACKDAW_DISPATCH_LIBRARY}")
elseif(JACKDAW_GCD AND NOT JACKDAW_GCD_FOUND)
	set(jd_gcd "no GCD scheduler: found no libdispatch (JACKDAW_DISPATCH_ROOT names a place)")
endif()
message(STATUS "jackdaw: ${jd_gcd}")
