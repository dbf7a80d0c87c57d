/* test_model_workers.c - the workers' loop under every schedule: no work without a worker. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deque/reclaim_keep.h"
#include "runtime/tuning.h"
#include "runtime/worker.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/*
 * The workers with idle.h, local.h, deque and injector as they are. Two threads drive a worker
 * each, a third schedules from outside, waits until everything has run and stops the workers. A
 * wake-up that is lost leaves them all waiting, which is a failure by itself.
 */
enum {
	WORKERS = 2,
	RUNNABLES = 3,
	/* What comes from outside is in the queue of a lane from the first on, or never. */
	LANES = JD_FOREIGN_VISITS == 1,
	/* So many more steps that the bounds are narrower: some ten seconds each. */
	LONG = LANES || JD_WORKER_LOOK_FIRST == 1
};

_Thread_local struct jd_pool_thread *jd_pool_self;
_Thread_local struct jd_exec_frame *jd_exec_frame_top;

/* All that come from outside begin at the same lane. */
uint64_t jd_thread_self(void)
{
	return JD_FOREIGN_LANES;
}

struct job {
	struct jd_runnable runnable;
	uint32_t data; /* plain: written by who schedules, read by who runs */
	unsigned number;
};

static struct {
	struct jd_workers all;
	struct jd_thread_pool pool;
	struct jd_pool_thread threads[WORKERS];
	struct jd_reclaim_keep keep;
	struct jd_registry_tally tally;
	struct job jobs[RUNNABLES];
	_Atomic(uint32_t) ran[RUNNABLES];
	/*
	 * What job i does: schedules job spawns[i], schedules job yields[i] as one that gave way,
	 * waits until job waits[i] runs; -1: nothing.
	 */
	int spawns[RUNNABLES], yields[RUNNABLES], waits[RUNNABLES];
	unsigned outside; /* jobs 0.. that are scheduled from outside */
	unsigned total;
	uint64_t clock;
	bool in_turn; /* each is scheduled from outside when the one before it has run */
} s;

/* Nothing here is a task. */
const struct jd_runnable_ops jd_task_runnable_ops;

void jd_registry_check(struct jd_registry *registry, struct jd_registry_tally *tally)
{
	(void)registry;
	(void)tally;
	model_fail("nothing here is a task");
}

/* --- What the workers want of the rest of the runtime ---------------------------------------- */

uint64_t jd_clock_now(void)
{
	return ++s.clock;
}

jd_status jd_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
	/* A nap is over at once: that it takes time changes nothing. */
	if (deadline_ns == JD_NEVER)
		model_wait(word, expected);
	return JD_OK;
}

void jd_futex_wake_one(_Atomic(uint32_t) *word)
{
	model_wake(word, 1);
}

void jd_thread_pool_name(struct jd_pool_thread *self, int worker)
{
	(void)self;
	(void)worker;
}

void jd_futex_wake_all(_Atomic(uint32_t) *word)
{
	model_wake(word, MODEL_THREADS);
}

jd_status jd_thread_pool_submit_now(struct jd_thread_pool *pool, struct jd_runnable *job)
{
	(void)pool;
	(void)job;
	return JD_EAGAIN;
}

/* No timers here: test_model_timer.c. */
jd_status jd_timekeeper_init(struct jd_timekeeper *tk, const struct jd_allocator *allocator,
			     uint32_t count)
{
	(void)tk;
	(void)allocator;
	(void)count;
	return JD_OK;
}

void jd_timekeeper_fini(struct jd_timekeeper *tk)
{
	(void)tk;
}

uint64_t jd_timekeeper_next(const struct jd_timekeeper *tk)
{
	(void)tk;
	return JD_NEVER;
}

jd_status jd_timekeeper_arm(struct jd_timekeeper *tk, uint32_t self, struct jd_timer *timer,
			    struct jd_runnable *runnable, uint64_t time_ns, bool relative,
			    enum jd_timer_announce *announce)
{
	(void)tk;
	(void)self;
	(void)timer;
	(void)runnable;
	(void)time_ns;
	(void)relative;
	*announce = JD_TIMER_QUIET;
	return JD_ENOTSUP;
}

bool jd_timekeeper_in_time(const struct jd_timekeeper *tk)
{
	(void)tk;
	return true;
}

void jd_timekeeper_bury(struct jd_timekeeper *tk, uint32_t self, struct jd_timer_driver *full)
{
	(void)tk;
	(void)self;
	(void)full;
}

jd_status jd_timer_cancel_by_claim(struct jd_timer *timer)
{
	(void)timer;
	return JD_EALREADY;
}

void jd_timekeeper_fire(struct jd_timekeeper *tk, uint32_t self, bool idle,
			struct jd_timer_delivery *delivery)
{
	(void)tk;
	(void)self;
	(void)idle;
	(void)delivery;
}

uint64_t jd_timekeeper_take_post(struct jd_timekeeper *tk, uint32_t self, uint64_t next)
{
	(void)tk;
	(void)self;
	return next;
}

void jd_timekeeper_leave_post(struct jd_timekeeper *tk, uint32_t self, uint64_t until)
{
	(void)tk;
	(void)self;
	(void)until;
}

uint32_t jd_timekeeper_post(const struct jd_timekeeper *tk)
{
	(void)tk;
	return 0;
}

void jd_reclaimer_init(struct jd_reclaimer *self)
{
	jd_reclaim_keep_init(&s.keep);
	self->reclaim = &s.keep.base;
}

void jd_reclaimer_fini(struct jd_reclaimer *self)
{
	(void)self;
	jd_reclaim_keep_fini(&s.keep);
}

void jd_reclaimer_attach(struct jd_reclaimer *self)
{
	(void)self;
}

void jd_reclaimer_detach(struct jd_reclaimer *self)
{
	(void)self;
}

unsigned jd_placement_distance(const struct jd_placement *self, unsigned a, unsigned b)
{
	(void)self;
	(void)a;
	(void)b;
	return 0;
}

int jd_placement_here(const struct jd_placement *self)
{
	(void)self;
	return -1;
}

unsigned jd_placement_from(const struct jd_placement *self, int cpu, unsigned worker)
{
	(void)self;
	(void)cpu;
	(void)worker;
	return 0;
}

bool jd_placement_bind(const struct jd_placement *self, unsigned worker)
{
	(void)self;
	(void)worker;
	return false;
}

void jd_thread_yield(void)
{
}

bool jd_cpu_crowded(void)
{
	return false;
}

/* Nobody forks here. */
jd_status jd_fork_host_init(struct jd_fork_host *self, const struct jd_allocator *allocator,
			    unsigned count, unsigned slots,
			    void (*published)(struct jd_fork_host *self))
{
	(void)self;
	(void)allocator;
	(void)count;
	(void)slots;
	(void)published;
	return JD_OK;
}

void jd_fork_host_fini(struct jd_fork_host *self)
{
	(void)self;
}

struct jd_fork_point jd_fork_host_enter(struct jd_fork_host *self, struct jd_fork_region *region)
{
	(void)self;
	(void)region;
	return (struct jd_fork_point){NULL, 0};
}

void jd_fork_leave(struct jd_fork_region *region)
{
	(void)region;
}

bool jd_fork_host_steal(struct jd_fork_host *self, struct jd_fork_point thief, unsigned start,
			struct jd_fork_stolen *stolen)
{
	(void)self;
	(void)thief;
	(void)start;
	(void)stolen;
	return false;
}

void jd_fork_host_run(const struct jd_fork_stolen *stolen, struct jd_fork_point thief)
{
	(void)stolen;
	(void)thief;
	model_fail("nobody forks here");
}

bool jd_fork_host_has_work(const struct jd_fork_host *self)
{
	(void)self;
	return false;
}

/* --- The jobs ------------------------------------------------------------------------------ */

static void schedule(unsigned i)
{
	model_write(&s.jobs[i].data);
	s.jobs[i].data = i + 1;
	MODEL_CHECK(jd_workers_schedule(&s.all, &s.jobs[i].runnable) == JD_OK);
}

static void wait_for(unsigned i)
{
	while (!atomic_load_explicit(&s.ran[i], ACQ))
		model_yield();
}

static void job_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct job *job = jd_container_of(runnable, struct job, runnable);
	const unsigned i = job->number;

	(void)worker;
	model_read(&job->data);
	MODEL_CHECK(job->data == i + 1);
	MODEL_CHECK(atomic_exchange_explicit(&s.ran[i], 1, REL) == 0);
	if (s.spawns[i] >= 0)
		schedule((unsigned)s.spawns[i]);
	if (s.yields[i] >= 0) {
		s.jobs[s.yields[i]].runnable.flags = JD_RUNNABLE_YIELDED;
		schedule((unsigned)s.yields[i]);
	}
	if (s.waits[i] >= 0)
		wait_for((unsigned)s.waits[i]);
}

static void job_cancel(struct jd_runnable *runnable)
{
	(void)runnable;
	model_fail("nothing is cancelled here");
}

static const struct jd_runnable_ops job_ops = {.run = job_run, .cancel = job_cancel};

static void set_up(unsigned outside, unsigned total)
{
	memset(&s, 0, sizeof(s));
	model_local(&jd_pool_self, sizeof(jd_pool_self));
	model_local(&jd_foreign_self, sizeof(jd_foreign_self));
	model_quiet("jd_worker_count");
	s.outside = outside;
	s.total = total;
	MODEL_CHECK(jd_workers_init(&s.all, WORKERS, model_allocator(), NULL, &s.pool) == JD_OK);
	/* The product relies on zeroed memory for its other atomics. */
	model_defined(&s.all, sizeof(s.all));
	model_defined(s.all.workers, WORKERS * sizeof(*s.all.workers));
	for (unsigned i = 0; i < WORKERS; i++)
		s.all.workers[i].lane.tally = &s.tally;
	for (unsigned i = 0; i < RUNNABLES; i++) {
		s.jobs[i].runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&job_ops);
		s.jobs[i].number = i;
		s.spawns[i] = s.yields[i] = s.waits[i] = -1;
		atomic_init(&s.ran[i], 0);
	}
}

static void drive(unsigned i)
{
	struct jd_pool_thread *self = &s.threads[i];

	self->pool = &s.pool;
	jd_pool_self = self;
	jd_runnable_run(&s.all.workers[i].drive, NULL);
}

static void worker_0(void)
{
	drive(0);
}

static void worker_1(void)
{
	drive(1);
}

static void outside(void)
{
	for (unsigned i = 0; i < s.outside; i++) {
		schedule(i);
		if (s.in_turn)
			wait_for(i);
	}
	for (unsigned i = 0; i < s.total; i++)
		wait_for(i);
	jd_workers_stop(&s.all);
}

static void finish(void)
{
	MODEL_CHECK(!jd_workers_rest(&s.all));
	MODEL_CHECK(!jd_workers_close(&s.all));
	jd_workers_fini(&s.all);
}

/* --- Programs ------------------------------------------------------------------------------ */

static void one_from_outside(void)
{
	set_up(1, 1);
}

static void two_from_outside(void)
{
	set_up(2, 2);
}

static void three_in_turn(void)
{
	set_up(3, 3);
	s.in_turn = true;
}

/* The first schedules the second on its own worker and keeps that worker busy until it has run. */
static void spawn_and_wait(void)
{
	set_up(1, 2);
	s.spawns[0] = 1;
	s.waits[0] = 1;
}

/*
 * The first schedules the second and gives way to it; it is the third from then on. The second
 * needs it to go on elsewhere.
 */
static void give_way(void)
{
	set_up(1, 3);
	s.spawns[0] = 1;
	s.yields[0] = 2;
	s.waits[1] = 2;
}

/* Two that need two workers at once. */
static void two_that_wait(void)
{
	set_up(2, 2);
	s.waits[0] = 1;
	s.waits[1] = 0;
}

/* Awake for a last look at their words when they go to sleep. */
static void two_dozing(void)
{
	set_up(2, 2);
	s.waits[0] = 1;
	s.waits[1] = 0;
	s.all.dozes = true;
	for (unsigned i = 0; i < WORKERS; i++)
		s.all.workers[i].doze_ns = JD_WORKER_DOZE_NS;
}

static struct model_program program(const char *name, void (*setup)(void))
{
	return (struct model_program){name, setup, {worker_0, worker_1, outside}, finish};
}

static void clean(const char *name, void (*setup)(void), unsigned preemptions, unsigned stale)
{
	const struct model_program p = program(name, setup);
	const struct model_options options = {.preemptions = preemptions, .stale = stale};

	model_expect_clean(&p, &options);
}

static void test_every_job_runs(void **state)
{
	(void)state;
	clean("one", one_from_outside, LONG ? 1 : 2, LONG ? 1 : 0);
	clean("two", two_from_outside, 1, LONG ? 0 : 1);
	clean("in turn", three_in_turn, 1, 0);
	clean("dozing", two_dozing, 1, 0);
}

static void test_a_busy_worker_s_queue_is_emptied_by_others(void **state)
{
	(void)state;
	clean("spawn", spawn_and_wait, 1, LONG ? 0 : 1);
	clean("both", two_that_wait, 1, 0);
	clean("give way", give_way, 1, 0);
}

static const struct model_mutation bugs[] = {
	{"post relaxed", "jd_idle_post", "add", "&idle->counts", MODEL_ORDER, RLX},
	{"post only looks", "jd_idle_post", "add", "&idle->counts", MODEL_SKIP, 0},
	{"post in two steps", "jd_idle_post", "add", "&idle->counts", MODEL_SPLIT, 0},
	{"sleep relaxed", "jd_idle_enter", "add", "&idle->counts", MODEL_ORDER, RLX},
	{"sleep in two steps", "jd_idle_enter", "add", "&idle->counts", MODEL_SPLIT, 0},
	{"sleep unannounced", "jd_idle_enter", "add", "&idle->counts", MODEL_SKIP, 0},
	{"found is not told", "jd_idle_found", "sub", "&idle->counts", MODEL_SKIP, 0},
	{"leave in two steps", "jd_idle_leave", "sub", "&idle->counts", MODEL_SPLIT, 0},
	{"stop is not told", "jd_workers_stop", "store", "&all->stop", MODEL_SKIP, 0},
};

/* Of the handshake between a push of the owner and a sleeper. */
static const struct model_mutation push_bugs[] = {
	{"push only released", "jd_local_push_single", "exchange", "&local->single", MODEL_ORDER,
	 REL},
	{"post looks relaxed", "jd_idle_post_exchanged", "load", "&idle->counts", MODEL_ORDER, RLX},
	{"sleep acq_rel", "jd_idle_enter", "add", "&idle->counts", MODEL_ORDER, AR},
	{"look relaxed", "jd_local_empty", "load", "&local->single", MODEL_ORDER, RLX},
};

/* Of the way of what gave way, from its worker to another. */
static const struct model_mutation yield_bugs[] = {
	{"gave way unseen", "jd_deque_push", "store", "&d->bottom", MODEL_SKIP, 0},
	{"gave way relaxed", "jd_deque_push", "store", "&d->bottom", MODEL_ORDER, RLX},
};

/* The same for a push into a lane. */
static const struct model_mutation lane_bugs[] = {
	{"push only released", "jd_deque_push_post", "exchange", "&d->bottom", MODEL_ORDER, REL},
	{"post looks relaxed", "jd_idle_post_exchanged", "load", "&idle->counts", MODEL_ORDER, RLX},
	{"sleep acq_rel", "jd_idle_enter", "add", "&idle->counts", MODEL_ORDER, AR},
	{"look relaxed", "jd_deque_empty", "load", "&d->bottom", MODEL_ORDER, RLX},
	{"open looked at relaxed", "jd_foreign_empty", "load", "&self->open", MODEL_ORDER, RLX},
};

static const struct model_mutation kept_claim = {
	"claim is not given back", "jd_idle_give_back", "sub", "&idle->counts", MODEL_SKIP, 0,
};

static const struct model_mutation dozing_bugs[] = {
	{"sleep over a claim", "jd_idle_fall_asleep", "cas", "word", MODEL_SPLIT, 0},
	{"claim over falling asleep", "jd_idle_claim", "cas", "word", MODEL_SPLIT, 0},
};

static void test_seeded_bugs_are_found(void **state)
{
	const struct model_program p = program("both", two_that_wait);
	const struct model_program spawn = program("spawn", spawn_and_wait);
	const struct model_program dozing = program("dozing", two_dozing);
	const struct model_program gives_way = program("give way", give_way);
	const struct model_program in_turn = program("in turn", three_in_turn);

	const struct model_program one = program("one", one_from_outside);

	(void)state;
	for (size_t i = 0; LANES && i < sizeof(lane_bugs) / sizeof(lane_bugs[0]); i++)
		model_expect_bug(&one, &lane_bugs[i]);
	if (LANES)
		return;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
		model_expect_bug(&p, &bugs[i]);
	for (size_t i = 0; i < sizeof(push_bugs) / sizeof(push_bugs[0]); i++)
		model_expect_bug(&spawn, &push_bugs[i]);
	for (size_t i = 0; i < sizeof(yield_bugs) / sizeof(yield_bugs[0]); i++)
		model_expect_bug(&gives_way, &yield_bugs[i]);
	model_expect_bug(&in_turn, &kept_claim);
	for (size_t i = 0; i < sizeof(dozing_bugs) / sizeof(dozing_bugs[0]); i++)
		model_expect_bug(&dozing, &dozing_bugs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_job_runs),
		cmocka_unit_test(test_a_busy_worker_s_queue_is_emptied_by_others),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model workers", tests, NULL, NULL);
}
