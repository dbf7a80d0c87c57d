/* tuning.h - every constant that was chosen rather than derived: unit, range, why. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TUNING_H
#define JD_RUNTIME_TUNING_H

/* Tries of a lock before sleeping, and pauses between two at most, each 25 ns: 16 us in all.
 * Critical sections are a few dozen ns, but moving what they write to another core takes longer. */
#define JD_LOCK_SPINS 15
#define JD_LOCK_PAUSES 64

/* Looks at a timer that fires while its sleep is dropped, before waiting in the kernel: it needs
 * some ten instructions, unless its thread was preempted there. */
#define JD_SLEEP_SPINS 100

/* Wakers collected under a lock before it is released to wake them; each 16 bytes of stack. */
#define JD_WAKE_BATCH 16

/* Bytes of items in one chunk of a channel's queue, when at least one item fits. */
#define JD_ITEM_CHUNK_BYTES 1008

/* Shards of the list of live tasks, log2: so many threads spawn without meeting. */
#define JD_REGISTRY_SHARD_BITS 4
#define JD_REGISTRY_SHARDS (1 << JD_REGISTRY_SHARD_BITS)

/* Buckets of a shard at the start, a power of two. Doubles when there are as many tasks. */
#define JD_REGISTRY_BUCKETS 16

/* Shards of the table of sessions of an execution context, a power of two: a request looks itself
 * up a few times, tasks never do. */
#define JD_EXEC_SHARDS 16

/* Buckets of a shard at the start, a power of two. Doubles when there are as many sessions. */
#define JD_EXEC_BUCKETS 16

/* How long a simulated platform takes over a call, ns, unless the options say otherwise. */
#define JD_EXEC_LATENCY_NS (10 * JD_MS)

/* References on the scheduler that a worker takes or returns at once; it keeps up to twice that. */
#define JD_LANE_REFS 64

/* Blocks of tasks come in multiples of this, bytes: a cache line. */
#define JD_LANE_UNIT 64

/* Larger blocks are not kept: 512 bytes. */
#define JD_LANE_UNITS_MAX 8

/* Bytes of free blocks of each size that workers leave for each other: some thousand tasks. */
#define JD_DEPOT_BYTES (256 * 1024)

/* Magazines of one size at most. Few in model tests. */
#ifndef JD_DEPOT_SLOTS
#define JD_DEPOT_SLOTS 32
#endif

/* Free blocks that workers hand to each other at once. */
#define JD_MAGAZINE 64

/* Bytes of a slab. jemalloc's largest class of small sizes: from 16 KiB on it adds a page. */
#define JD_SLAB_BYTES (14 * 1024)

/* Slabs there is room for at first; doubles when there are as many. */
#define JD_SLAB_PLACES 64

/* How far ahead blocks are fetched that another core has kept, a power of two. */
#define JD_LANE_AHEAD 8

/* Lanes for threads that are no workers, at most 32: so many can hand in work without meeting. */
#ifndef JD_FOREIGN_LANES
#define JD_FOREIGN_LANES 16
#endif

/* So often such a lane is entered before it gets a queue: who comes rarely needs none. Once in
 * model tests. */
#ifndef JD_FOREIGN_VISITS
#define JD_FOREIGN_VISITS 16
#endif

/* How many pushes ahead its slots are fetched: two lines. */
#define JD_FOREIGN_AHEAD 16

/* First capacity of that queue, a power of two. Small in model tests. */
#ifndef JD_FOREIGN_CAPACITY
#define JD_FOREIGN_CAPACITY 64
#endif

/* Most runnables that a worker takes out of it at once. */
#ifndef JD_FOREIGN_TAKE
#define JD_FOREIGN_TAKE 32
#endif

/* Bytes of each that are fetched then: a task with a small future. */
#define JD_FOREIGN_FETCH 192

/* After so many visits without sleep, a worker that has nothing else lets fewer than so many come
 * together for so many pauses of some 15 ns. Without: 80 to 250 ns a task, with: 40. */
#define JD_FOREIGN_STREAM 1
#define JD_FOREIGN_FEW 16
#define JD_FOREIGN_PAUSES 16

/* How long a thread without a job stays, ns: longer than the pauses of bursty blocking work. */
#define JD_POOL_KEEP_ALIVE_NS (10 * JD_SEC)

/* Blocking jobs at once unless the options say otherwise; each has a thread of its own. */
#define JD_POOL_BLOCKING_MAX 512

/* Most workers; the idle protocol counts them in 16 bits, and thieves look at each. */
#define JD_WORKERS_MAX 1024

/* First capacity of a worker's deque, a power of two. Small in model tests. */
#ifndef JD_WORKER_DEQUE_CAPACITY
#define JD_WORKER_DEQUE_CAPACITY 256
#endif

/* Runnables between two looks at timers, injector and the old end of the own deque, at most. The
 * clock that each look reads is then half a ns a runnable. Few in model tests. */
#ifndef JD_WORKER_LOOK_TICKS
#define JD_WORKER_LOOK_TICKS 61
#endif

/* Runnables after a search until the first look. */
#ifndef JD_WORKER_LOOK_FIRST
#define JD_WORKER_LOOK_FIRST 8
#endif

/* Time between two such looks, ns, unless a single runnable takes longer: a fifth of the slack of a
 * timer, and what a look costs is lost in it. */
#define JD_WORKER_LOOK_NS (100 * JD_US)

/* How often a busy worker looks whether another has more to do, ns: two lines cross, and then some
 * dozens of runnables if it has. */
#ifndef JD_WORKER_BALANCE_NS
#define JD_WORKER_BALANCE_NS JD_MS
#endif

/* Rounds over all victims before a searcher gives up and sleeps. Few in model tests. */
#ifndef JD_WORKER_SEARCH_ROUNDS
#define JD_WORKER_SEARCH_ROUNDS 16
#endif

/* How long a searcher closes its eyes when others get on well without it, ns: a few wake-ups. */
#define JD_WORKER_NAP_NS (50 * JD_US)

/*
 * How long a worker dozes before it sleeps, at most, ns: twice what a wake-up takes to arrive on
 * another CPU. It does after sleeps that were shorter than this.
 */
#define JD_WORKER_DOZE_NS (50 * JD_US)

/* Pauses between two looks of a dozing worker, some 20 ns each. */
#define JD_WORKER_DOZE_PAUSES 8

/* Looks of a dozing worker between two yields: one of some 0.4 us each us. */
#define JD_WORKER_DOZE_YIELD 4

/* Looks at most: the time is what ends it. One in model tests, where there is none. */
#ifndef JD_WORKER_DOZE_ROUNDS
#define JD_WORKER_DOZE_ROUNDS 100000
#endif

/* So often it asks whether the CPUs are crowded; if so it sleeps so often before it asks again. */
#define JD_WORKER_CROWD_LOOK 64

/* Spawned tasks on the stack of a thread, each run by the spawn of the one below. */
#define JD_WORKER_DEPTH 64

/* Most runnables moved by one visit to a victim. */
#define JD_WORKER_STEAL_MAX 32

/* How late the system may end a worker's sleep on purpose, ns. With 50 us, the default of Linux,
 * 100,000 timers a second without slack are 38 us late at the median for 0.46 s of CPU; with 30 us
 * 27 us for 0.9 s, with 1 ns 13 us for 1.8 s: then the workers do not get to sleep. */
#define JD_WORKER_SLACK_NS (25 * JD_US)

/* Slack of a timer that has none of its own, log2 ns: 524 us. Halving it doubles the wake-ups of
 * 100,000 timers a second (1900 of 10 us each) and takes 130 us off the median. */
#define JD_TIMER_SLACK_BITS 19

/* From this slack on, log2 ns: 66 us, a sleep's delay may begin when its task's poll has ended. */
#define JD_TIMER_PATIENT_BITS 16

/* Armings by the owner between two visits to its wheel, a power of two; 8 bytes each. Few in model
 * tests, like the next two. */
#ifndef JD_TIMER_RING
#define JD_TIMER_RING 256
#endif

/* Timers that were cancelled and are in the wheel still; their cells stay in the nearest cache. */
#ifndef JD_TIMER_DEAD
#define JD_TIMER_DEAD 64
#endif

/* Cells of the first chunk of a pool of timers, a power of two. */
#ifndef JD_TIMER_CELLS_FIRST
#define JD_TIMER_CELLS_FIRST 64
#endif

/* Timers fired in one visit: what they woke should run, too. */
#define JD_TIMER_BATCH 256

/* Timers looked up together, so that their cache misses overlap. */
#define JD_TIMER_AHEAD 16

/* How long a worker that is busy leaves what is due to its owner, ns. */
#define JD_TIMER_TAKEOVER_NS (100 * JD_US)

/* How long a sleeper leaves what is due to the thread that is at it, ns. */
#define JD_TIMER_RETRY_NS (50 * JD_US)

/* The tick of timer wheels, log2 ns: that of the default slack, so that those timers meet. */
#define JD_TIMER_WHEEL_SHIFT JD_TIMER_SLACK_BITS

/* Slots of a queue of the test scheduler at the start; doubles when full. */
#define JD_TEST_QUEUE_SLOTS 64

/* Slots of its map of sessions at the start, a power of two; doubles when half full. */
#define JD_TEST_SESSION_SLOTS 16

/* Steps it may let pass, at most, until a wait that ended is noticed: enough to see reorderings. */
#define JD_TEST_BLOCK_STEPS 7

/* Candidates from which on their memory is fetched ahead: fewer are in a cache anyway. */
#define JD_TEST_AHEAD_MIN 2048

/* So many candidates are fetched at once; three times that is known ahead (JD_CHOICE_AHEAD). */
#define JD_TEST_AHEAD_BATCH 4

/* Steps of a test before it is taken for a livelock: some ten seconds. */
#define JD_TEST_MAX_STEPS 100000000

/* Real time a test may sleep when parking is allowed and nothing comes, ns. */
#define JD_TEST_PARK_LIMIT (15 * JD_SEC)

/* Frames open at once on a stack that others can take part in; 8 bytes each, touched when used. */
#define JD_FORK_SLOTS 65536

/* Frames made public at once, at most; each costs a ns or a cache miss. Few in model tests. */
#ifndef JD_FORK_GIVE
#define JD_FORK_GIVE 256
#endif

/* Bits of the count of publications, at most 30: how long a helper may stop, see fork_host.h. */
#ifndef JD_FORK_COUNT_BITS
#define JD_FORK_COUNT_BITS 30
#endif

/* Regions open at once outside of workers that others can take part in; more run serially. */
#define JD_FORK_GUESTS 64

/* The same on a test scheduler, where only nested regions need more than one. */
#define JD_TEST_FORK_STACKS 16

/* Looks at the thief before a join sleeps, each about 30 ns. None in model tests. */
#ifndef JD_JOIN_SPINS
#define JD_JOIN_SPINS 500
#endif

/* Then it looks again after so long, ns, because the thief may have forked something meanwhile. */
#define JD_JOIN_SLEEP_NS (100 * JD_US)

/* After so many sleeps a worker in a join is handed on to another thread, and they become twice
 * as long; this many times, up to a tenth of a second. */
#define JD_JOIN_SLEEPS 20
#define JD_JOIN_DOUBLINGS 10

/* Pieces of a parallel loop whose grain is left to us. */
#define JD_PARALLEL_PIECES 256

#endif
