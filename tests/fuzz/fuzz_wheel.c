/* fuzz_wheel.c - a fuzzer's bytes decide what happens to a timer wheel and its model. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jackdaw/base.h>

#include "tests/fuzz/fuzz.h"
#include "tests/testlib/wheel_model.h"

struct bytes {
	struct wheel_choices base;
	const uint8_t *data;
	size_t left;
};

/* As few bytes as the bits need, so that one byte of input is about one decision. */
static uint64_t bytes_draw(struct wheel_choices *base, unsigned bits)
{
	struct bytes *self = jd_container_of(base, struct bytes, base);
	uint64_t value = 0;

	for (unsigned got = 0; got < bits && self->left > 0; got += 8, self->left--)
		value = value << 8 | *self->data++;
	return bits < 64 ? value & ((UINT64_C(1) << bits) - 1) : value;
}

static bool bytes_done(const struct wheel_choices *base)
{
	const struct bytes *self = (const struct bytes *)(const void *)base;

	return self->left == 0;
}

bool fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes choices = {{bytes_draw, bytes_done}, data, size};

	return wheel_model_run(&choices.base, UINT64_MAX, 1, stderr);
}
