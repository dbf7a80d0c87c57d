#!/bin/sh
# consume.sh - HOW: use the library as a stranger would (see the cases), build and run a program.
# SPDX-License-Identifier: Apache-2.0
#
# Environment: CC, CMAKE, PROGRAM (the user's source), SOURCE (our tree), BUILD (a finished build
# of it), WORK (scratch). For Windows also CMAKE_ARGS and RUN, which starts a program.
set -eu
how=$1
here=$SOURCE/tests/package
stage=$WORK/stage
prefix=$WORK/prefix # the staged tree is moved here: nothing installed may remember its prefix
version=$(sed -n 's/^#define JD_VERSION_[A-Z]* \([0-9][0-9]*\)$/\1/p' \
	"$SOURCE/include/jackdaw/version.h" | paste -sd .)
shared=libjackdaw.so.${version%%.*}
test -z "${RUN-}" || shared=libjackdaw.dll

# A consumer configured from folder $1 with the other arguments, in $WORK/<how>.
cmake_consumer() {
	folder=$1
	shift
	rm -rf "${WORK:?}/$how"
	# shellcheck disable=SC2086 # they are words
	"$CMAKE" -S "$here/$folder" -B "$WORK/$how" -G Ninja -DCMAKE_C_COMPILER="$CC" \
		-DPROGRAM="$PROGRAM" ${CMAKE_ARGS-} "$@"
	"$CMAKE" --build "$WORK/$how"
}

# Program $1. Those for Windows have another name, and look for a DLL (in folder $2) where they lie.
run() {
	if [ -n "${RUN-}" ]; then
		test -z "${2-}" || cp "$2/libjackdaw.dll" "$(dirname "$1")"
		"$RUN" "$1.exe"
	else
		"$1"
	fi
}

pc() {
	libdir=$(dirname "$(find "$prefix" -name jackdaw.pc)")
	PKG_CONFIG_PATH=$libdir pkg-config "$@" jackdaw
}

# $1 needs or lacks the shared library $2.
needs() {
	test ! -e "$1.exe" || set -- "$1.exe" "$2"
	objdump -p "$1" | grep -qE "(NEEDED|DLL Name).*$2"
}
lacks() {
	if needs "$1" "$2"; then
		echo "consume: $1 needs $2" >&2
		return 1
	fi
}

case $how in
install)
	rm -rf "$stage" "$prefix"
	"$CMAKE" --install "$BUILD" --prefix "$stage"
	mv "$stage" "$prefix"
	if grep -rlE "$SOURCE|$BUILD|$stage" "$prefix" --include='*.cmake' --include='*.pc'; then
		echo "consume: the files above name the folder they were built or installed in" >&2
		exit 1
	fi
	;;
find_shared)
	cmake_consumer find -DCMAKE_PREFIX_PATH="$prefix" -DWANT="$version" -DLINK=jackdaw::jackdaw
	run "$WORK/$how/consumer" "$prefix/bin"
	needs "$WORK/$how/consumer" "$shared"
	;;
find_static)
	cmake_consumer find -DCMAKE_PREFIX_PATH="$prefix" -DWANT="$version" \
		"-DCOMPONENTS=static;jemalloc" "-DLINK=jackdaw::jackdaw_static;jackdaw::jemalloc"
	run "$WORK/$how/consumer"
	lacks "$WORK/$how/consumer" libjackdaw
	needs "$WORK/$how/consumer" libjemalloc
	;;
find_static_alone)
	cmake_consumer find -DCMAKE_PREFIX_PATH="$prefix" -DWANT="$version" \
		-DCOMPONENTS=static -DLINK=jackdaw::jackdaw_static
	run "$WORK/$how/consumer"
	lacks "$WORK/$how/consumer" libjackdaw
	lacks "$WORK/$how/consumer" pthread
	;;
subdirectory)
	cmake_consumer embed -DSOURCE="$SOURCE"
	run "$WORK/$how/consumer" "$WORK/$how/jackdaw"
	run "$WORK/$how/consumer_static"
	lacks "$WORK/$how/consumer_static" libjackdaw
	;;
pc_shared)
	test "$(pc --modversion)" = "$version"
	# shellcheck disable=SC2046 # the flags are words
	"$CC" -std=c11 "$PROGRAM" -o "$WORK/$how" $(pc --cflags --libs)
	LD_LIBRARY_PATH=$(pc --variable=libdir)
	export LD_LIBRARY_PATH
	run "$WORK/$how" "$prefix/bin"
	needs "$WORK/$how" "$shared"
	;;
pc_static)
	# shellcheck disable=SC2046 # the flags are words
	"$CC" -std=c11 "$PROGRAM" -o "$WORK/$how" \
		$(pc --static --cflags --libs | sed 's/-ljackdaw/-l:libjackdaw.a/')
	run "$WORK/$how"
	lacks "$WORK/$how" libjackdaw
	;;
dlopen)
	# A plug-in or another language's host loads it late: its static TLS must still find room.
	python3 -c 'if True:
		import ctypes, sys
		lib = ctypes.CDLL(sys.argv[1])
		lib.jd_version.restype = ctypes.c_char_p
		assert lib.jd_version().decode() == sys.argv[2]
		scheduler = ctypes.c_void_p()
		assert lib.jd_ws_scheduler_new(None, ctypes.byref(scheduler)) == 0
		lib.jd_scheduler_destroy(scheduler)
	' "$(find "$prefix" -name libjackdaw.so)" "$version"
	;;
*)
	echo "consume: unknown: $how" >&2
	exit 2
	;;
esac
