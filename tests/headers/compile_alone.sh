#!/bin/sh
# compile_alone.sh - ROOT STANDARD COMPILER FOLDER...: each header of the folders compiles alone.
# SPDX-License-Identifier: Apache-2.0
#
# A header that needs another one before it works by accident of include order. Each is compiled
# as the only content of a translation unit, twice (the guard works), warnings as errors. The
# declaration after it is there because ISO C wants one and a header may hold macros only.
set -eu
root=$1 standard=$2 compiler=$3
shift 3

defines=
warnings="-Wall -Wextra -Wpedantic -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-qual
	-Wwrite-strings -Werror"
case $standard in
c++*) language=c++ ;;
*) language=c warnings="$warnings -Wstrict-prototypes -Wmissing-prototypes" ;;
esac

count=0 failed=0
for folder in "$@"; do
	for header in $(cd "$root" && find "$folder" -name '*.h' | sort); do
		case $header in
		# The ports of other systems need those systems' headers.
		platform/windows/* | platform/darwin/*) continue ;;
		include/*) line="#include <${header#include/}>" defines= ;;
		*) line="#include \"$header\"" defines=-D_GNU_SOURCE ;;
		esac
		count=$((count + 1))
		# shellcheck disable=SC2086 # the flags are words
		printf '%s\n%s\nextern int jd_alone;\n' "$line" "$line" |
			"$compiler" -x "$language" -std="$standard" \
			$warnings $defines -I"$root" -I"$root/include" -c -o /dev/null - || {
			echo "compile_alone: $header does not compile alone as $standard"
			failed=$((failed + 1))
		}
	done
done
echo "compile_alone: $count headers, $failed failed"
[ "$failed" -eq 0 ]
