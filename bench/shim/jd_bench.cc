// jd_bench.cc - the C door to Google Benchmark: expands rows, names them, reports progress.
// SPDX-License-Identifier: Apache-2.0
#include "bench/shim/jd_bench.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <vector>

/*
 * Rows are expanded and filtered here and not by the library, because it appends what it knows
 * about a row ("/real_time", "/iterations:3") to the name that its filter sees and that it writes;
 * people and scripts should see the name that was registered.
 */
struct jd_bench {
	std::string name;
	jd_bench_fn fn;
	void *user;
	std::vector<std::vector<int64_t>> args;
	std::vector<int> threads;
	int64_t iterations = 0;
	int repetitions = 0;
	double min_time = 0;
	jd_bench_clock clock = JD_BENCH_REAL;
};

namespace
{

struct row {
	const jd_bench *bench;
	std::string name;
	std::vector<int64_t> args;
	int threads;
	bool announced; // by thread 0 only
};

std::vector<std::unique_ptr<jd_bench>> benches;
std::map<std::string, std::string> context;
std::vector<row> rows; // of the current jd_bench_main
size_t rows_started;
std::atomic<size_t> rows_failed; // by any thread of a row

} // namespace

struct jd_bench_state {
	benchmark::State *gb;
	row *which;
	int64_t batch; // iterations handed out, 0 before the first jd_bench_next
	bool done;
	bool ended; // failed or skipped
};

/* --- Registration ----------------------------------------------------------------------------- */

struct jd_bench *jd_bench_add(const char *name, jd_bench_fn fn, void *user)
{
	benches.push_back(std::make_unique<jd_bench>());
	jd_bench *bench = benches.back().get();

	bench->name = name;
	bench->fn = fn;
	bench->user = user;
	return bench;
}

struct jd_bench *jd_bench_args(struct jd_bench *bench, const int64_t *values, size_t count)
{
	bench->args.emplace_back(values, values + std::min<size_t>(count, JD_BENCH_ARGS_MAX));
	return bench;
}

struct jd_bench *jd_bench_arg(struct jd_bench *bench, int64_t value)
{
	return jd_bench_args(bench, &value, 1);
}

struct jd_bench *jd_bench_range(struct jd_bench *bench, int64_t low, int64_t high, int64_t factor)
{
	for (int64_t value = low; value < high; value *= factor) {
		jd_bench_arg(bench, value);
		if (factor < 2 || value > high / factor)
			break;
	}
	return jd_bench_arg(bench, high);
}

struct jd_bench *jd_bench_threads(struct jd_bench *bench, int count)
{
	bench->threads.push_back(std::max(count, 1));
	return bench;
}

struct jd_bench *jd_bench_iterations(struct jd_bench *bench, int64_t count)
{
	bench->iterations = count;
	return bench;
}

struct jd_bench *jd_bench_repetitions(struct jd_bench *bench, int count)
{
	bench->repetitions = count;
	return bench;
}

struct jd_bench *jd_bench_min_time(struct jd_bench *bench, double seconds)
{
	bench->min_time = seconds;
	return bench;
}

struct jd_bench *jd_bench_set_clock(struct jd_bench *bench, enum jd_bench_clock clock)
{
	bench->clock = clock;
	return bench;
}

void jd_bench_context(const char *key, const char *value)
{
	context[key] = value;
}

void jd_bench_reset(void)
{
	benches.clear();
	context.clear();
}

/* --- Inside a row ----------------------------------------------------------------------------- */

int64_t jd_bench_next(struct jd_bench_state *state)
{
	if (state->done)
		return 0;
	int64_t n = static_cast<int64_t>(state->gb->max_iterations);
	if (!state->gb->KeepRunningBatch(n)) {
		state->done = true;
		return 0;
	}
	state->batch = n;
	return n;
}

int64_t jd_bench_get_arg(const struct jd_bench_state *state, size_t index)
{
	return index < state->which->args.size() ? state->which->args[index] : 0;
}

const char *jd_bench_get_name(const struct jd_bench_state *state)
{
	return state->which->name.c_str();
}

int jd_bench_thread_index(const struct jd_bench_state *state)
{
	return state->gb->thread_index();
}

int jd_bench_thread_count(const struct jd_bench_state *state)
{
	return state->gb->threads();
}

void jd_bench_pause(struct jd_bench_state *state)
{
	if (state->batch && !state->done && !state->ended)
		state->gb->PauseTiming();
}

void jd_bench_resume(struct jd_bench_state *state)
{
	if (state->batch && !state->done && !state->ended)
		state->gb->ResumeTiming();
}

void jd_bench_add_time(struct jd_bench_state *state, double seconds)
{
	state->gb->SetIterationTime(seconds);
}

void jd_bench_counter(struct jd_bench_state *state, const char *name, double value, unsigned flags)
{
	unsigned gb = 0;

	if (flags & JD_BENCH_RATE)
		gb |= benchmark::Counter::kIsRate;
	if (flags & JD_BENCH_PER_ITERATION)
		gb |= benchmark::Counter::kAvgIterations;
	if (flags & JD_BENCH_EACH_ITERATION)
		gb |= benchmark::Counter::kIsIterationInvariant;
	if (flags & JD_BENCH_INVERT)
		gb |= static_cast<unsigned>(benchmark::Counter::kInvert);
	state->gb->counters[name] =
		benchmark::Counter(value, static_cast<benchmark::Counter::Flags>(gb));
}

void jd_bench_ns_per_op(struct jd_bench_state *state, double ops_per_iteration)
{
	/* Operations a nanosecond, inverted: the library divides by the clock of the row. It adds
	 * up the counters of all threads, and multiplies by the iterations of all threads too. */
	if (state->gb->thread_index() != 0)
		return;
	jd_bench_counter(state, "ns_per_op", ops_per_iteration * 1e-9,
			 JD_BENCH_RATE | JD_BENCH_EACH_ITERATION | JD_BENCH_INVERT);
}

void jd_bench_fail(struct jd_bench_state *state, const char *message)
{
	if (state->ended)
		return;
	state->ended = true;
	rows_failed.fetch_add(1, std::memory_order_relaxed);
	state->gb->SkipWithError(message);
}

void jd_bench_skip(struct jd_bench_state *state, const char *reason)
{
	if (state->ended)
		return;
	state->ended = true;
	state->gb->SkipWithError((std::string("skipped: ") + reason).c_str());
}

/* --- Running ---------------------------------------------------------------------------------- */

namespace
{

void run_row(benchmark::State &gb, size_t index)
{
	row &r = rows[index];
	jd_bench_state state = {&gb, &r, 0, false, false};

	if (gb.thread_index() == 0 && !r.announced) {
		r.announced = true;
		std::fprintf(stderr, "[%2zu/%zu] %-34s ", ++rows_started, rows.size(),
			     r.name.c_str());
		std::fflush(stderr);
	}
	r.bench->fn(&state, r.bench->user);
	if (!state.done && !state.ended)
		jd_bench_fail(&state, "returned before jd_bench_next() gave 0");
}

/* The name as registered; aggregates ("_mean") get their suffix from the library. */
std::vector<benchmark::BenchmarkReporter::Run>
cleaned(const std::vector<benchmark::BenchmarkReporter::Run> &runs)
{
	auto copy = runs;

	for (auto &run : copy) {
		std::string name = run.run_name.function_name;
		run.run_name = benchmark::BenchmarkName();
		run.run_name.function_name = name;
	}
	return copy;
}

struct json_reporter : benchmark::JSONReporter {
	void ReportRuns(const std::vector<Run> &runs) override
	{
		JSONReporter::ReportRuns(cleaned(runs));
	}
};

/* One line a row, as soon as it is there; the library's own console report is for wide screens. */
struct progress_reporter : benchmark::BenchmarkReporter {
	bool ReportContext(const Context &) override
	{
		return true;
	}

	void ReportRuns(const std::vector<Run> &runs) override
	{
		for (const Run &run : cleaned(runs)) {
			if (run.run_type != Run::RT_Iteration) {
				if (run.aggregate_name == "median")
					std::fprintf(stderr, "%-42s ", "        median");
				else
					continue;
			} else if (run.repetition_index > 0) {
				std::fprintf(stderr, "%-42s ", "");
			}
			print(run);
		}
	}

      private:
	static void print(const Run &run)
	{
		if (run.error_occurred) {
			std::fprintf(stderr, "%s%s\n",
				     run.error_message.rfind("skipped: ", 0) == 0 ? "" : "FAILED: ",
				     run.error_message.c_str());
			return;
		}
		double ms = run.GetAdjustedRealTime() * 1e3 /
			    benchmark::GetTimeUnitMultiplier(run.time_unit);
		std::fprintf(stderr, "%12.3f ms", ms);
		auto it = run.counters.find("ns_per_op");
		if (it != run.counters.end())
			std::fprintf(stderr, " %12.1f ns/op", it->second.value);
		std::fputc('\n', stderr);
	}
};

void expand(const jd_bench &bench)
{
	if (bench.args.empty() && bench.threads.empty())
		rows.push_back({&bench, bench.name, {}, 1, false});
	for (const auto &args : bench.args) {
		std::string name = bench.name;
		for (int64_t value : args)
			name += "/" + std::to_string(value);
		rows.push_back({&bench, name, args, 1, false});
	}
	for (int threads : bench.threads)
		rows.push_back(
			{&bench, bench.name + "/" + std::to_string(threads), {}, threads, false});
}

/* Keeps the rows the filter wants. False: not a regular expression. */
bool filter_rows(std::string filter)
{
	bool invert = !filter.empty() && filter[0] == '-';

	try {
		std::regex wanted(invert ? filter.substr(1) : filter,
				  std::regex::extended | std::regex::nosubs);
		auto unwanted = [&](const row &r) {
			return std::regex_search(r.name, wanted) == invert;
		};
		rows.erase(std::remove_if(rows.begin(), rows.end(), unwanted), rows.end());
		return true;
	} catch (const std::regex_error &error) {
		std::fprintf(stderr, "bad --benchmark_filter '%s': %s\n", filter.c_str(),
			     error.what());
		return false;
	}
}

void register_row(size_t index)
{
	const jd_bench &bench = *rows[index].bench;
	auto *gb = benchmark::RegisterBenchmark(
		rows[index].name.c_str(),
		[index](benchmark::State &state) { run_row(state, index); });

	gb->Unit(benchmark::kMillisecond)->Threads(rows[index].threads);
	if (bench.iterations > 0)
		gb->Iterations(bench.iterations);
	if (bench.repetitions > 0)
		gb->Repetitions(bench.repetitions);
	if (bench.min_time > 0 && bench.iterations <= 0)
		gb->MinTime(bench.min_time);
	if (bench.clock == JD_BENCH_REAL)
		gb->UseRealTime()->MeasureProcessCPUTime();
	else if (bench.clock == JD_BENCH_MANUAL)
		gb->UseManualTime()->MeasureProcessCPUTime();
}

struct command_line {
	std::vector<char *> argv; // without what is handled here
	std::string filter;
	bool list = false;
	bool out = false;
};

command_line parse(int argc, char **argv)
{
	static const char filter[] = "--benchmark_filter=";
	command_line line;

	for (int i = 0; i < argc; i++) {
		std::string arg = argv[i];
		if (i && arg.rfind(filter, 0) == 0) {
			line.filter = arg.substr(sizeof(filter) - 1);
		} else if (i && (arg == "--benchmark_list_tests" ||
				 arg == "--benchmark_list_tests=true")) {
			line.list = true;
		} else {
			line.out = line.out || arg.rfind("--benchmark_out=", 0) == 0;
			line.argv.push_back(argv[i]);
		}
	}
	return line;
}

int run_rows(const command_line &line)
{
	progress_reporter progress;
	json_reporter json;

	benchmark::ClearRegisteredBenchmarks();
	for (size_t i = 0; i < rows.size(); i++)
		register_row(i);
	for (const auto &fact : context) {
		/* The library's own table is for the whole process and takes a key once. */
		static std::map<std::string, bool> told;
		if (!told[fact.first])
			benchmark::AddCustomContext(fact.first, fact.second);
		told[fact.first] = true;
	}
	rows_started = 0;
	rows_failed.store(0, std::memory_order_relaxed);
	benchmark::RunSpecifiedBenchmarks(&progress, line.out ? &json : nullptr, "all");
	benchmark::ClearRegisteredBenchmarks();
	size_t failed = rows_failed.load(std::memory_order_relaxed);

	if (failed)
		std::fprintf(stderr, "%zu measurement(s) failed\n", failed);
	return failed ? 1 : 0;
}

} // namespace

int jd_bench_main(int argc, char **argv)
{
	command_line line = parse(argc, argv);
	int left = static_cast<int>(line.argv.size());

	line.argv.push_back(nullptr);
	rows.clear();
	for (const auto &bench : benches)
		expand(*bench);
	if (!filter_rows(line.filter))
		return 2;
	if (line.list) {
		for (const row &r : rows)
			std::printf("%s\n", r.name.c_str());
		return 0;
	}
	if (rows.empty()) {
		std::fprintf(stderr, "no row matches '%s'\n", line.filter.c_str());
		return 2;
	}
	benchmark::Initialize(&left, line.argv.data());
	if (benchmark::ReportUnrecognizedArguments(left, line.argv.data()))
		return 2;
	return run_rows(line);
}
