#!/bin/sh
# consume.sh - HOW: use the library as a stranger would (see the cases), build and run a program.
# SPDX-License-Identifier: Apache-2.0
#
# Environment: CC, CMAKE, PROGRAM (the user's source), SOURCE (our tree), BUILD (a finished build
# of it), WORK (scratch).
set -eu
how=$1
here=$SOURCE/tests/package
stage=$WORK/stage
prefix=$WORK/prefix # the staged tree is moved here: nothing installed may remember its prefix
version=$(sed -n 's/^#define JD_VERSION_[A-Z]* \([0-9][0-9]*\)$/\1/p' \
	"$SOURCE/include/jackdaw/version.h" | paste -sd .)

# A consumer configured from folder $1 with the other arguments, in $WORK/<how>.
cmake_consumer() {
	folder=$1
	shift
	rm -rf "${WORK:?}/$how"
	"$CMAKE" -S "$here/$folder" -B "$WORK/$how" -G Ninja -DCMAKE_C_COMPILER="$CC" \
		-DPROGRAM="$PROGRAM" "$@"
	"$CMAKE" --build "$WORK/$how"
}

pc() {
	libdir=$(dirname "$(find "$prefix" -name jackdaw.pc)")
	PKG_CONFIG_PATH=$libdir pkg-config "$@" jackdaw
}

# $1 needs or lacks the shared library $2.
needs() {
	readelf -d "$1" | grep -q "NEEDED.*$2"
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
	"$WORK/$how/consumer"
	needs "$WORK/$how/consumer" libjackdaw.so.${version%%.*}
	;;
find_static)
	cmake_consumer find -DCMAKE_PREFIX_PATH="$prefix" -DWANT="$version" \
		"-DCOMPONENTS=static;jemalloc" "-DLINK=jackdaw::jackdaw_static;jackdaw::jemalloc"
	"$WORK/$how/consumer"
	lacks "$WORK/$how/consumer" libjackdaw
	needs "$WORK/$how/consumer" libjemalloc
	;;
subdirectory)
	cmake_consumer embed -DSOURCE="$SOURCE"
	"$WORK/$how/consumer"
	"$WORK/$how/consumer_static"
	lacks "$WORK/$how/consumer_static" libjackdaw
	;;
pc_shared)
	test "$(pc --modversion)" = "$version"
	# shellcheck disable=SC2046 # the flags are words
	"$CC" -std=c11 "$PROGRAM" -o "$WORK/$how" $(pc --cflags --libs)
	LD_LIBRARY_PATH=$(pc --variable=libdir) "$WORK/$how"
	needs "$WORK/$how" libjackdaw.so.${version%%.*}
	;;
pc_static)
	# shellcheck disable=SC2046 # the flags are words
	"$CC" -std=c11 "$PROGRAM" -o "$WORK/$how" \
		$(pc --static --cflags --libs | sed 's/-ljackdaw/-l:libjackdaw.a/')
	"$WORK/$how"
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
