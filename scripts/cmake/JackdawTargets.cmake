# JackdawTargets.cmake - how a layer, the libraries, a test and a benchmark are declared.
# SPDX-License-Identifier: Apache-2.0
include_guard()

set(JD_ROOT "${CMAKE_CURRENT_LIST_DIR}/../..")
cmake_path(NORMAL_PATH JD_ROOT)
string(REGEX REPLACE "/$" "" JD_ROOT "${JD_ROOT}")

# The layers that have sources, lowest first.
set_property(GLOBAL PROPERTY JD_LAYERS "")

set(JD_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-qual
	-Wwrite-strings)
set(JD_WARNINGS_C ${JD_WARNINGS} -Wstrict-prototypes -Wmissing-prototypes)

# How JD_API marks what the libraries export.
if(WIN32)
	set(JD_EXPORT "__declspec(dllexport)")
else()
	set(JD_EXPORT "__attribute__((visibility(\"default\")))")
endif()

# Language level, warnings and visibility of everything that is ours.
function(jd_set_defaults target)
	set_target_properties(${target} PROPERTIES
		C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
		CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
		C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
		VISIBILITY_INLINES_HIDDEN ON)
	target_compile_options(${target} PRIVATE
		"$<$<COMPILE_LANG_AND_ID:C,GNU,Clang,AppleClang>:${JD_WARNINGS_C}>"
		"$<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:${JD_WARNINGS}>"
		"$<$<BOOL:${JACKDAW_WERROR}>:-Werror>")
	if(JACKDAW_CHECKED)
		target_compile_definitions(${target} PRIVATE JD_CHECKED=1)
	endif()
endfunction()

# jd_add_layer(NAME SOURCES files... [DEFINITIONS defs...] [LIBS libs...])
# One OBJECT library a layer, so that its objects lie in BUILD/<layer>/ (scripts/check_symbols.py
# looks there). The same objects make the shared and the static library: position independent, with
# initial-exec TLS, which the linker relaxes to local-exec in an executable. LIBS reach whoever
# links the libraries, privately. A layer without sources yet is skipped.
function(jd_add_layer name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEFINITIONS;LIBS")
	if(NOT arg_SOURCES)
		return()
	endif()
	set(target jackdaw_layer_${name})
	add_library(${target} OBJECT ${arg_SOURCES})
	jd_set_defaults(${target})
	set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
	target_include_directories(${target} PRIVATE "${JD_ROOT}" "${JD_ROOT}/include")
	target_compile_definitions(${target} PRIVATE
		"JD_API=${JD_EXPORT}" ${arg_DEFINITIONS})
	target_compile_options(${target} PRIVATE
		-ftls-model=initial-exec -fno-semantic-interposition
		# 'x = y' on an atomic is seq_cst silently; only clang can tell.
		"$<$<COMPILE_LANG_AND_ID:C,Clang,AppleClang>:-Watomic-implicit-seq-cst>")
	target_link_libraries(${target} PRIVATE ${arg_LIBS})
	set_property(GLOBAL APPEND PROPERTY JD_LAYERS ${target})
	set_property(GLOBAL APPEND PROPERTY JD_LAYER_LIBS ${arg_LIBS})
endfunction()

# The libraries a user links, and the one our unit tests link.
macro(jd_add_libraries)
	get_property(jd_layers GLOBAL PROPERTY JD_LAYERS)
	get_property(jd_layer_libs GLOBAL PROPERTY JD_LAYER_LIBS)
	list(REMOVE_DUPLICATES jd_layer_libs)
	list(TRANSFORM jd_layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE jd_objects)

	add_library(jackdaw SHARED ${jd_objects})
	add_library(jackdaw_static STATIC ${jd_objects})
	foreach(lib jackdaw jackdaw_static)
		set_target_properties(${lib} PROPERTIES OUTPUT_NAME jackdaw LINKER_LANGUAGE C)
		target_include_directories(${lib} PUBLIC
			"$<BUILD_INTERFACE:${JD_ROOT}/include>"
			"$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
		target_compile_features(${lib} PUBLIC c_std_11)
		target_link_libraries(${lib} PRIVATE ${jd_layer_libs} ${JACKDAW_THREAD_LIBS})
	endforeach()
	set_target_properties(jackdaw PROPERTIES
		VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
	if(WIN32) # without it a call takes one jump more
		target_compile_definitions(jackdaw INTERFACE "JD_API=__declspec(dllimport)")
	endif()
	set_target_properties(jackdaw_static PROPERTIES EXPORT_NAME jackdaw_static)
	if(NOT JACKDAW_INSTRUMENTED AND NOT APPLE)
		target_link_options(jackdaw PRIVATE "LINKER:--no-undefined")
	endif()
	add_library(jackdaw::jackdaw ALIAS jackdaw)
	add_library(jackdaw::jackdaw_static ALIAS jackdaw_static)

	# For executables only. Named by flags, not by a target, so that it stays between push and
	# pop: it must be linked even when the executable itself never calls malloc.
	add_library(jackdaw_jemalloc INTERFACE)
	add_library(jackdaw::jemalloc ALIAS jackdaw_jemalloc)
	if(JACKDAW_JEMALLOC_FOUND AND NOT JACKDAW_INSTRUMENTED)
		target_link_libraries(jackdaw_jemalloc INTERFACE
			"-Wl,--push-state,--no-as-needed" ${JACKDAW_JEMALLOC_LINK_LIBRARIES}
			"-Wl,--pop-state")
	endif()

	# Private symbols are hidden, not local: whoever links the archive in this tree sees them.
	add_library(jackdaw_internal INTERFACE)
	target_link_libraries(jackdaw_internal INTERFACE jackdaw_static Threads::Threads)
	target_include_directories(jackdaw_internal INTERFACE "${JD_ROOT}")
endmacro()

# jd_add_test(NAME name SOURCES files... [LIBS libs...] [LABELS labels...] [ARGS args...]
#             [ENV VAR=value...] [TIMEOUT seconds] [PUBLIC] [SERIAL] [POSIX])
# One executable, one ctest. Labels in use: quick (default) or full (too long for the quick tier),
# concurrent (runs threads: repeated under TSan), conformance, model, example, tidy, package.
# PUBLIC: sees only include/. SERIAL: never beside another test (it measures time). POSIX: needs
# processes, signals or descriptors, so there is none on Windows.
function(jd_add_test)
	cmake_parse_arguments(PARSE_ARGV 0 arg "PUBLIC;SERIAL;POSIX" "NAME;TIMEOUT"
		"SOURCES;LIBS;LABELS;ARGS;ENV")
	if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
		message(FATAL_ERROR "jd_add_test: bad arguments: ${ARGV}")
	endif()
	if(arg_POSIX AND WIN32)
		return()
	endif()
	add_executable(${arg_NAME} ${arg_SOURCES})
	jd_set_defaults(${arg_NAME})
	# Tests may use what the system has (threads, files) beside the C library.
	target_compile_definitions(${arg_NAME} PRIVATE _GNU_SOURCE)
	if(arg_PUBLIC)
		target_link_libraries(${arg_NAME} PRIVATE jackdaw_static)
	else()
		target_link_libraries(${arg_NAME} PRIVATE jackdaw_internal)
	endif()
	target_link_libraries(${arg_NAME} PRIVATE
		${arg_LIBS} PkgConfig::JACKDAW_CMOCKA Threads::Threads)
	add_test(NAME ${arg_NAME} COMMAND ${arg_NAME} ${arg_ARGS})
	jd_set_test(${arg_NAME} LABELS ${arg_LABELS} ENV ${arg_ENV} TIMEOUT ${arg_TIMEOUT})
	if(arg_SERIAL)
		set_tests_properties(${arg_NAME} PROPERTIES RUN_SERIAL ON)
	endif()
endfunction()

# jd_set_test(name [LABELS ...] [ENV ...] [TIMEOUT s]) - what every test has, whoever added it.
function(jd_set_test name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LABELS;ENV")
	if(NOT "full" IN_LIST arg_LABELS AND NOT "quick" IN_LIST arg_LABELS)
		list(APPEND arg_LABELS quick)
	endif()
	if(NOT arg_TIMEOUT)
		set(arg_TIMEOUT 180)
	endif()
	set_tests_properties(${name} PROPERTIES
		LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${arg_ENV}"
		SKIP_RETURN_CODE 77)
endfunction()

# jd_add_bench(NAME name SOURCES files... [LIBS libs...]) - a benchmark executable: sees include/
# and, for measurements of one structure, the layers below the runtime; runs on jemalloc.
function(jd_add_bench)
	cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LIBS")
	if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
		message(FATAL_ERROR "jd_add_bench: bad arguments: ${ARGV}")
	endif()
	add_executable(${arg_NAME} ${arg_SOURCES})
	jd_set_defaults(${arg_NAME})
	target_compile_definitions(${arg_NAME} PRIVATE _GNU_SOURCE)
	target_link_libraries(${arg_NAME} PRIVATE jackdaw_internal ${arg_LIBS} jackdaw_jemalloc)
	# As a command: cross-built programs are started by what the toolchain file names.
	list(JOIN CMAKE_CROSSCOMPILING_EMULATOR " " emulator)
	string(STRIP "${emulator} $<TARGET_FILE:${arg_NAME}>" command)
	set_property(GLOBAL APPEND PROPERTY JD_BENCHES "${command}")
endfunction()
