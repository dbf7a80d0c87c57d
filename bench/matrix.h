/* matrix.h - the product of two 512 x 512 matrices: what every contender computes and is asked. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_MATRIX_H
#define JD_BENCH_MATRIX_H

#ifdef __cplusplus
extern "C" {
#endif

enum {
	MATRIX_SIDE = 512,
	MATRIX_LEAF = 64, /* side of a block of the result that is not divided */
	MATRIX_SUMS = MATRIX_SIDE * MATRIX_SIDE, /* elements of the product */
	MATRIX_RUNS = 4
};

/* Small whole numbers, so that every sum is exact in whatever order. */
struct matrices {
	float a[MATRIX_SIDE][MATRIX_SIDE];
	float b[MATRIX_SIDE][MATRIX_SIDE];
	float c[MATRIX_SIDE][MATRIX_SIDE];
};

void matrix_fill(struct matrices *m);
/* Before each product. */
void matrix_clear(struct matrices *m);
/* Adds to one block of c. */
void matrix_leaf(struct matrices *m, int row, int column);
/* NULL: c is the product of a and b. Else what is wrong. */
const char *matrix_check(const struct matrices *m);

#ifdef __cplusplus
}
#endif

#endif
