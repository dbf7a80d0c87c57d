/* test_choice.h - the one source of choice in a test: providers, recording, replay. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_TEST_CHOICE_H
#define JACKDAW_TEST_CHOICE_H

#include <stdio.h>

#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

struct jd_test_scheduler;

/*
 * Whatever could differ between two runs of a test is a choice: a number below n, asked of a
 * provider. Where only one answer is possible (n == 1) nobody is asked. X(name, letter, text); the
 * letter stands in choice files.
 */
#define JD_CHOICE_MAP(X)                                                                          \
	X(JD_CHOICE_RUN, 'r', "which candidate runs: background, a session's first, a due timer") \
	X(JD_CHOICE_BLOCK, 'b', "steps between the end of a wait and its being noticed")          \
	X(JD_CHOICE_TICKS, 't', "tick budget of a timed block")                                   \
	X(JD_CHOICE_DELAY, 'd', "how often a random delay yields")                                \
	X(JD_CHOICE_SPURIOUS, 's', "whether a task that waits is polled for no reason")           \
	X(JD_CHOICE_USER, 'u', "a draw of the test itself")                                       \
	X(JD_CHOICE_FORK, 'f', "whether an idle worker takes the oldest forked frame")

enum jd_choice_kind {
#define JD_CHOICE_ENUM(name, letter, text) name,
	JD_CHOICE_MAP(JD_CHOICE_ENUM)
#undef JD_CHOICE_ENUM
	JD_CHOICE_KINDS, /* how many kinds there are */
};

/* One choice: the item of a log, and what a replay is fed from. */
struct jd_choice {
	enum jd_choice_kind kind;
	uint64_t n;      /* how many answers there are, >= 2; 0 stands for 2^64 */
	uint64_t picked; /* the answer: < n */
};

/*
 * Answers choices. The scheduler calls choose on the thread of the test, one call at a time; it
 * must not call the scheduler back, but for jd_test_candidate, and must depend on nothing but its
 * own state and its arguments. It writes *picked, or returns an error when it cannot answer:
 * JD_ENOENT (nothing recorded is left) or JD_ENONDET (what is asked differs from what was
 * recorded). After an error the provider is not asked again in this run: the seed decides the
 * rest, and the error is reported (see jd_test_end).
 */
struct jd_choice_provider {
	jd_status (*choose)(struct jd_choice_provider *self, struct jd_test_scheduler *scheduler,
			    enum jd_choice_kind kind, uint64_t n, uint64_t *picked);
};

/* --- Seeded ------------------------------------------------------------------------------ */

/*
 * The default provider. Its algorithm is part of the interface, so that a seed means the same
 * everywhere: xoshiro256** 1.0 (Blackman, Vigna, "Scrambled Linear Pseudorandom Number
 * Generators", 2018), its state filled with four outputs of splitmix64 from the seed. A number
 * below n is the high half of the 64-bit product of the high 32 bits of an output and n, outputs
 * whose low half is below 2^32 mod n being skipped (Lemire, "Fast Random Integer Generation in an
 * Interval", 2019); for n >= 2^32 it is an output masked to n's width, outputs >= n being skipped.
 */
#define JD_CHOICE_AHEAD 16 /* a power of two */
struct jd_choice_seeded {
	struct jd_choice_provider base;
	uint64_t _state[4];
	uint64_t _next[JD_CHOICE_AHEAD]; /* a ring of outputs that are known already */
	uint32_t _at;
};

JD_API void jd_choice_seeded_init(struct jd_choice_seeded *self, uint64_t seed);
/* The next output; what a choice consumes one or (seldom) more of. */
JD_API uint64_t jd_choice_seeded_next(struct jd_choice_seeded *self);
/* The output after i more, i < JD_CHOICE_AHEAD, which stays to be given. */
JD_API uint64_t jd_choice_seeded_peek(const struct jd_choice_seeded *self, uint32_t i);
/* The next number below n; 0 stands for 2^64. */
JD_API uint64_t jd_choice_seeded_below(struct jd_choice_seeded *self, uint64_t n);

/* --- Replay ------------------------------------------------------------------------------ */

/* Gives the answers of a log in order. Exposed so that it can live on the stack. */
struct jd_choice_replay {
	struct jd_choice_provider base;
	const struct jd_choice *choices;
	size_t count;
	size_t next;              /* how many were given */
	uint64_t seed;            /* of the recorded run */
	uint64_t hash;            /* the trace hash of the recorded run, if complete */
	bool complete;            /* the recorded run came to its end; a run that crashed did not */
	char name[128];           /* of the recorded test, may be "" */
	struct jd_choice *_owned; /* choices, when they were read from a file */
	size_t _capacity;
	const struct jd_allocator *_allocator;
};

/* Replays choices[0..count), borrowed until fini. They are a complete run's. */
JD_API void jd_choice_replay_init(struct jd_choice_replay *self, const struct jd_choice *choices,
				  size_t count, uint64_t seed);

/*
 * Reads a choice file. JD_ENOENT: cannot be opened. JD_EINVAL: not a choice file, or damaged (a
 * last line that was cut off by a crash is no damage). JD_ENOMEM.
 *
 * The format is text, one item a line, meant for people and for diff:
 *   jackdaw-choices 1
 *   seed <decimal>
 *   name <the rest of the line>              (left out when the test has none)
 *   <letter> <n> <picked>                     one line a choice, in order
 *   end <number of choices> <trace hash, hex> last line of a run that came to its end
 */
JD_API JD_MUST_CHECK jd_status jd_choice_replay_open(struct jd_choice_replay *self,
						     const char *path,
						     const struct jd_allocator *allocator);
JD_API void jd_choice_replay_fini(struct jd_choice_replay *self);

/* --- For providers that look at what they choose ----------------------------------------- */

/*
 * Describes candidate i (below n) of a JD_CHOICE_RUN. Only from inside choose; false otherwise.
 * Candidates are numbered: background runnables, then one for each session that can run, then due
 * timers; or, when there is none of these, the deprioritized. The number of a candidate may change
 * from choice to choice, its task id does not.
 */
JD_API bool jd_test_candidate(struct jd_test_scheduler *scheduler, uint64_t i,
			      struct jd_runnable_info *info);

JD_END_DECLS

#endif
