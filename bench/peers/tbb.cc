// tbb.cc - oneTBB as a native contender.
// SPDX-License-Identifier: Apache-2.0
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <cstring>

#include "bench/peers/os.h"
#include "bench/peers/peer.h"

namespace
{

namespace tbb = oneapi::tbb;

/* So many threads work, not counting the one that measures: it only waits. */
struct pool {
	explicit pool(unsigned workers)
	    : limit(tbb::global_control::max_allowed_parallelism, workers + 1),
	      arena(static_cast<int>(workers), 0)
	{
		arena.initialize();
	}

	tbb::global_control limit;
	tbb::task_arena arena;
};

void *start(unsigned workers)
{
	return new pool(workers);
}

void stop(void *arg)
{
	delete static_cast<pool *>(arg);
}

/* Calls body on a worker and waits for it. */
template <typename Body> void run_inside(void *arg, Body body)
{
	static peer_event done = [] {
		peer_event event;

		peer_event_init(&event);
		return event;
	}();

	static_cast<pool *>(arg)->arena.enqueue([&] {
		body();
		peer_event_set(&done);
	});
	peer_event_wait(&done);
}

/* --- The small workloads ---------------------------------------------------------------------- */

/* From anywhere; a task_group needs somebody to wait for it. */
bool post(void *arg, void (*fn)(void *), void *data)
{
	static_cast<pool *>(arg)->arena.enqueue([fn, data] { fn(data); });
	return true;
}

const char *spawn_run(void *arg)
{
	std::atomic<uint64_t> ran{0};

	run_inside(arg, [&] {
		for (int wave = 0; wave < SPAWN_COUNT / SPAWN_WAVE; wave++) {
			tbb::task_group group;

			for (int i = 0; i < SPAWN_WAVE; i++)
				group.run([&] { ran.fetch_add(1, std::memory_order_relaxed); });
			group.wait();
		}
	});
	return ran.load() == SPAWN_COUNT ? nullptr : "not every task ran exactly once";
}

const char *spawn_join_run(void *arg)
{
	std::atomic<uint64_t> ran{0};

	run_inside(arg, [&] {
		tbb::task_group group;

		for (int i = 0; i < JOIN_COUNT; i++) {
			group.run([&] { ran.fetch_add(1, std::memory_order_relaxed); });
			group.wait();
		}
	});
	return ran.load() == JOIN_COUNT ? nullptr : "not every task ran exactly once";
}

/* --- fib, skynet, nqueens, parallel_for ------------------------------------------------------- */

long fib(int n)
{
	long a = 0;

	if (n < 2)
		return n;
	tbb::task_group group;

	group.run([&a, n] { a = fib(n - 1); });
	long b = fib(n - 2);

	group.wait();
	return a + b;
}

const char *fib_run(void *arg)
{
	long value = 0;

	run_inside(arg, [&] { value = fib(PEER_FIB_N); });
	return value == PEER_FIB_VALUE ? nullptr : "wrong value";
}

uint64_t skynet(uint64_t first, uint64_t size)
{
	uint64_t sums[SKYNET_WIDTH], sum = 0, part = size / SKYNET_WIDTH;

	if (size == 1)
		return first;
	tbb::task_group group;

	for (uint64_t i = 0; i < SKYNET_WIDTH; i++)
		group.run([&sums, i, first, part] { sums[i] = skynet(first + i * part, part); });
	group.wait();
	for (uint64_t part_sum : sums)
		sum += part_sum;
	return sum;
}

const char *skynet_run(void *arg)
{
	const uint64_t n = SKYNET_LEAVES;
	uint64_t sum = 0;

	run_inside(arg, [&] { sum = skynet(0, n); });
	return sum == n * (n - 1) / 2 ? nullptr : "wrong sum";
}

struct board {
	signed char columns[QUEENS];
};

uint64_t queens(const board &above, int row)
{
	uint64_t counts[QUEENS] = {}, sum = 0;

	if (row == QUEENS)
		return 1;
	tbb::task_group group;

	for (int column = 0; column < QUEENS; column++) {
		if (!peer_queen_fits(above.columns, row, column))
			continue;
		board next = above;

		next.columns[row] = static_cast<signed char>(column);
		group.run([&counts, column, next, row] { counts[column] = queens(next, row + 1); });
	}
	group.wait();
	for (uint64_t count : counts)
		sum += count;
	return sum;
}

const char *queens_run(void *arg)
{
	uint64_t solutions = 0;

	run_inside(arg, [&] { solutions = queens(board{}, 0); });
	return solutions == QUEENS_SOLUTIONS ? nullptr : "wrong number of solutions";
}

uint32_t sums[LOOP_CHUNKS];

const char *loop_run(void *arg)
{
	using range = tbb::blocked_range<uint32_t>;

	std::memset(sums, 0, sizeof(sums));
	run_inside(arg, [] {
		tbb::parallel_for(
			range(0, LOOP_CHUNKS, 1),
			[](const range &chunks) {
				for (uint32_t chunk = chunks.begin(); chunk != chunks.end();
				     chunk++)
					sums[chunk] += peer_loop_piece(chunk * LOOP_GRAIN,
								       (chunk + 1) * LOOP_GRAIN);
			},
			tbb::simple_partitioner());
	});
	return peer_loop_check(sums);
}

const peer_post tbb_post = {{"tbb", start, stop}, post, true};
const peer_row rows[] = {
	{"spawn", SPAWN_COUNT, 8, spawn_run, nullptr},
	{"spawn_join", JOIN_COUNT, 8, spawn_join_run, nullptr},
	{"fib", PEER_FIB_FORKS, 2, fib_run, nullptr},
	{"skynet", SKYNET_TASKS, 2, skynet_run, nullptr},
	{"nqueens_13_fork", QUEENS_NODES, 1, queens_run, nullptr},
	{"parallel_for", LOOP_CHUNKS, 50, loop_run, nullptr},
};

} // namespace

int main(int argc, char **argv)
{
	for (const peer_row &row : rows)
		peer_add(&tbb_post.base, &row);
	peer_add_post(&tbb_post);
	return peer_main(argc, argv);
}
