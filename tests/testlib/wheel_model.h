/* wheel_model.h - drives a timer wheel and a sorted array side by side and compares them. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_WHEEL_MODEL_H
#define JD_TESTS_TESTLIB_WHEEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Where the decisions come from: a seed or a fuzzer's bytes. */
struct wheel_choices {
	/* A number of that many bits, 1..64. */
	uint64_t (*draw)(struct wheel_choices *self, unsigned bits);
	/* Nothing left to decide: the run ends. */
	bool (*done)(const struct wheel_choices *self);
};

/*
 * Makes steps operations (fewer when the choices end), looking at the whole wheel every check_every
 * of them. False at the first difference; what it was goes to why.
 */
bool wheel_model_run(struct wheel_choices *choices, uint64_t steps, unsigned check_every,
		     FILE *why);

/* The choices of a seed; they never end. */
struct wheel_seeded {
	struct wheel_choices base;
	uint64_t state;
};

void wheel_seeded_init(struct wheel_seeded *self, uint64_t seed);

#endif
