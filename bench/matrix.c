/* matrix.c - matrices to multiply, a block of the product, and the check. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/matrix.h"

#include <stddef.h>
#include <string.h>

void matrix_fill(struct matrices *m)
{
	for (int i = 0; i < MATRIX_SIDE; i++) {
		for (int j = 0; j < MATRIX_SIDE; j++) {
			m->a[i][j] = (float)((i * 7 + j * 3) % 11 - 5);
			m->b[i][j] = (float)((i * 5 + j * 2) % 13 - 6);
		}
	}
}

void matrix_clear(struct matrices *m)
{
	memset(m->c, 0, sizeof(m->c));
}

void matrix_leaf(struct matrices *m, int row, int column)
{
	for (int k = 0; k < MATRIX_SIDE; k++) {
		for (int i = row; i < row + MATRIX_LEAF; i++) {
			const float a = m->a[i][k];

			for (int j = column; j < column + MATRIX_LEAF; j++)
				m->c[i][j] += a * m->b[k][j];
		}
	}
}

/* c x = a (b x) for a vector x (Freivalds 1977). */
const char *matrix_check(const struct matrices *m)
{
	double bx[MATRIX_SIDE] = {0};

	for (int i = 0; i < MATRIX_SIDE; i++)
		for (int j = 0; j < MATRIX_SIDE; j++)
			bx[i] += (double)m->b[i][j] * (j * 17 % 101);
	for (int i = 0; i < MATRIX_SIDE; i++) {
		double left = 0, right = 0;

		for (int j = 0; j < MATRIX_SIDE; j++) {
			left += (double)m->c[i][j] * (j * 17 % 101);
			right += (double)m->a[i][j] * bx[j];
		}
		if (left != right)
			return "wrong product";
	}
	return NULL;
}
