// tbb.cc - oneTBB as a native contender.
// SPDX-License-Identifier: Apache-2.0
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <cstring>

#include "bench/matrix.h"
#include "bench/metg.h"
#include "bench/peers/os.h"
#include "bench/peers/peer.h"
#include "bench/shim/jd_bench.h"
#include "bench/uts_tree.h"

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

/* --- uts, reduce, matmul, metg ---------------------------------------------------------------- */

using counts = tbb::enumerable_thread_specific<uts_count, tbb::cache_aligned_allocator<uts_count>,
					       tbb::ets_key_per_instance>;

/* The last child by itself, the others as tasks. */
void search(const uts_tree &tree, const uts_node &node, counts &all)
{
	int children = uts_children(&tree, &node);
	uts_node child;

	uts_count_node(&all.local(), &node, children);
	if (children == 0)
		return;
	tbb::task_group group;

	for (int i = 0; i < children - 1; i++) {
		uts_child(&node, i, &child);
		group.run([&tree, child, &all] { search(tree, child, all); });
	}
	uts_child(&node, children - 1, &child);
	search(tree, child, all);
	group.wait();
}

const char *uts_run(void *arg, const uts_tree &tree)
{
	counts all(uts_count{0, 0, 0});
	uts_count sum{0, 0, 0};

	run_inside(arg, [&] {
		uts_node root;

		uts_root(&tree, &root);
		search(tree, root, all);
	});
	for (const uts_count &part : all)
		uts_add(&sum, &part);
	return uts_wrong(&tree, &sum);
}

const char *uts_t1_run(void *arg)
{
	return uts_run(arg, uts_t1);
}

const char *uts_t3_run(void *arg)
{
	return uts_run(arg, uts_t3);
}

const char *reduce_run(void *arg)
{
	using range = tbb::blocked_range<uint32_t>;
	uint64_t sum = 0;

	run_inside(arg, [&sum] {
		sum = tbb::parallel_reduce(
			range(0, LOOP_CHUNKS, 1), uint64_t(0),
			[](const range &chunks, uint64_t part) {
				return part + peer_sum_piece(uint64_t{chunks.begin()} * LOOP_GRAIN,
							     uint64_t{chunks.end()} * LOOP_GRAIN);
			},
			[](uint64_t left, uint64_t right) { return left + right; },
			tbb::simple_partitioner());
	});
	return peer_sum_check(sum);
}

matrices numbers;

void multiply(int row, int column, int side)
{
	int half = side / 2;

	if (side == MATRIX_LEAF) {
		matrix_leaf(&numbers, row, column);
		return;
	}
	tbb::task_group group;

	for (int i = 0; i < 4; i++)
		group.run([=] { multiply(row + i / 2 * half, column + i % 2 * half, half); });
	group.wait();
}

const char *matmul_run(void *arg)
{
	run_inside(arg, [] { multiply(0, 0, MATRIX_SIDE); });
	return nullptr;
}

const char *matmul_check()
{
	const char *wrong = matrix_check(&numbers);

	matrix_clear(&numbers);
	return wrong;
}

metg sweep;
double sweep_s;

bool metg_pieces(metg *metg, void *arg)
{
	using range = tbb::blocked_range<uint64_t>;

	run_inside(arg, [metg] {
		tbb::parallel_for(
			range(0, metg->pieces, 1),
			[metg](const range &pieces) {
				metg_run(metg, pieces.begin(), pieces.end());
			},
			tbb::simple_partitioner());
	});
	return true;
}

const char *sweep_run(void *arg)
{
	auto workers = static_cast<pool *>(arg)->arena.max_concurrency();

	uint64_t begin = peer_now();

	metg_sweep(&sweep, static_cast<unsigned>(workers), peer_now, metg_pieces, arg);
	sweep_s = static_cast<double>(peer_now() - begin) * 1e-9;
	return sweep.wrong ? "not every piece ran exactly once" : nullptr;
}

void sweep_report(jd_bench_state *state)
{
	jd_bench_add_time(state, sweep_s);
	metg_report(&sweep, state);
}

const peer_post tbb_post = {{"tbb", start, stop}, post, true};
const peer_row rows[] = {
	{"spawn", SPAWN_COUNT, 8, spawn_run, nullptr, nullptr},
	{"spawn_join", JOIN_COUNT, 8, spawn_join_run, nullptr, nullptr},
	{"fib", PEER_FIB_FORKS, 2, fib_run, nullptr, nullptr},
	{"skynet", SKYNET_TASKS, 2, skynet_run, nullptr, nullptr},
	{"nqueens_13_fork", QUEENS_NODES, 1, queens_run, nullptr, nullptr},
	{"uts_t1_fork", 4130071, 1, uts_t1_run, nullptr, nullptr},
	{"uts_t3_fork", 4112897, 1, uts_t3_run, nullptr, nullptr},
	{"parallel_for", LOOP_CHUNKS, 50, loop_run, nullptr, nullptr},
	{"metg", 1, 1, sweep_run, sweep_report, nullptr},
	{"reduce", LOOP_CHUNKS, 20, reduce_run, nullptr, nullptr},
	{"matmul", MATRIX_SUMS, MATRIX_RUNS, matmul_run, nullptr, matmul_check},
};

} // namespace

int main(int argc, char **argv)
{
	matrix_fill(&numbers);
	for (const peer_row &row : rows)
		peer_add(&tbb_post.base, &row);
	peer_add_post(&tbb_post);
	return peer_main(argc, argv);
}
