// go.mod - Go as a contender; needs nothing but the standard library.
// SPDX-License-Identifier: Apache-2.0
module jackdaw_bench_go

go 1.19
