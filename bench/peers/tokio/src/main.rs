// main.rs - Tokio's multi-threaded runtime as a contender.
// SPDX-License-Identifier: Apache-2.0
use std::fmt::Write as _;
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, Mutex, Notify};
use tokio::task::yield_now;

// As in bench/sizes.h.
const SPAWN_COUNT: u64 = 250 * 1000;
const SPAWN_WAVE: u64 = 1000;
const JOIN_COUNT: u64 = 125 * 1000;
const CHAIN_COUNT: u64 = 250 * 1000;
const YIELD_COUNT: u64 = 250 * 1000;
const YIELD_TASKS: u64 = 100;
const STORM_TASKS: u64 = 1000;
const STORM_YIELDS: u64 = 1000;
const INJECT_COUNT: u64 = 200 * 1000;
const PINGPONG_HOPS: u64 = 200 * 1000;
const WAKE_SAMPLES: usize = 3000;
const WAKE_QUICK: usize = 250;
const WAKE_GAP: Duration = Duration::from_micros(1000);
const MPSC_ITEMS: u64 = 400 * 1000;
const MPSC_SENDERS: u64 = 4;
const MPSC_CAPACITY: usize = 256;
const MUTEX_LOCKS: u64 = 400 * 1000;
const MUTEX_TASKS: u64 = 8;

type Answer = Result<Vec<u64>, &'static str>;

/// A row; run returns latencies in ns, usually none.
struct Row {
    workload: &'static str,
    ops: u64,
    runs: u32,
    run: fn(&Runtime) -> Answer,
}

fn check(right: bool, wrong: &'static str) -> Answer {
    if right {
        Ok(Vec::new())
    } else {
        Err(wrong)
    }
}

fn is_quick() -> bool {
    std::env::var_os("JD_BENCH_QUICK").is_some()
}

/// Runs on a worker; the calling thread only waits.
fn inside<F>(runtime: &Runtime, future: F) -> F::Output
where
    F: std::future::Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime.block_on(runtime.spawn(future)).expect("the task ended")
}

fn spawn(runtime: &Runtime) -> Answer {
    let ran = Arc::new(AtomicU64::new(0));
    let counter = ran.clone();
    inside(runtime, async move {
        for _ in 0..SPAWN_COUNT / SPAWN_WAVE {
            let left = Arc::new((AtomicU64::new(SPAWN_WAVE), Notify::new()));
            for _ in 0..SPAWN_WAVE {
                let (left, counter) = (left.clone(), counter.clone());
                tokio::spawn(async move {
                    counter.fetch_add(1, Relaxed);
                    if left.0.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
                        left.1.notify_one();
                    }
                });
            }
            left.1.notified().await;
        }
    });
    check(ran.load(Relaxed) == SPAWN_COUNT, "not every task ran exactly once")
}

fn spawn_join(runtime: &Runtime) -> Answer {
    let sum = inside(runtime, async {
        let mut sum = 0;
        for _ in 0..JOIN_COUNT {
            sum += tokio::spawn(async { 1 }).await.expect("the task ended");
        }
        sum
    });
    check(sum == JOIN_COUNT, "not every task ran exactly once")
}

fn link(left: u64, done: oneshot::Sender<u64>) {
    tokio::spawn(async move {
        if left == 1 {
            done.send(CHAIN_COUNT).ok();
        } else {
            link(left - 1, done);
        }
    });
}

fn chain(runtime: &Runtime) -> Answer {
    let (done, end) = oneshot::channel();
    let _guard = runtime.enter();
    link(CHAIN_COUNT, done);
    check(runtime.block_on(end) == Ok(CHAIN_COUNT), "the chain broke")
}

fn yields(runtime: &Runtime, tasks: u64, each: u64) -> Answer {
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            runtime.spawn(async move {
                for _ in 0..each {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in all {
        runtime.block_on(task).map_err(|_| "a task did not end")?;
    }
    Ok(Vec::new())
}

fn yield_1(runtime: &Runtime) -> Answer {
    yields(runtime, 1, YIELD_COUNT)
}

fn yield_100(runtime: &Runtime) -> Answer {
    yields(runtime, YIELD_TASKS, YIELD_COUNT / YIELD_TASKS)
}

fn yield_1000(runtime: &Runtime) -> Answer {
    yields(runtime, STORM_TASKS, STORM_YIELDS)
}

/// Two tasks wake each other in turn.
fn pingpong(runtime: &Runtime) -> Answer {
    let signals = Arc::new((Notify::new(), Notify::new()));
    let other = signals.clone();
    runtime.spawn(async move {
        for _ in 0..PINGPONG_HOPS / 2 {
            other.0.notified().await;
            other.1.notify_one();
        }
    });
    let hops = inside(runtime, async move {
        let mut hops = 0;
        for _ in 0..PINGPONG_HOPS / 2 {
            signals.0.notify_one();
            signals.1.notified().await;
            hops += 2;
        }
        hops
    });
    check(hops == PINGPONG_HOPS, "wrong number of hops")
}

/// The same over channels of one place.
fn pingpong_channel(runtime: &Runtime) -> Answer {
    let (there, mut at_other) = mpsc::channel(1);
    let (back, mut at_first) = mpsc::channel(1);
    runtime.spawn(async move {
        while let Some(hop) = at_other.recv().await {
            if back.send(hop + 1).await.is_err() {
                return;
            }
        }
    });
    let hops = inside(runtime, async move {
        let mut hop = 0;
        while hop < PINGPONG_HOPS && there.send(hop + 1).await.is_ok() {
            hop = at_first.recv().await.unwrap_or(0);
        }
        hop
    });
    check(hops == PINGPONG_HOPS, "wrong number of hops")
}

fn inject(runtime: &Runtime, threads: u64) -> Answer {
    let ran = Arc::new(AtomicU64::new(0));
    let done = Arc::new(Notify::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (ran, done) = (&ran, &done);
            scope.spawn(move || {
                for _ in 0..INJECT_COUNT / threads {
                    let (ran, done) = (ran.clone(), done.clone());
                    runtime.spawn(async move {
                        if ran.fetch_add(1, Relaxed) + 1 == INJECT_COUNT {
                            done.notify_one();
                        }
                    });
                }
            });
        }
    });
    runtime.block_on(done.notified());
    check(ran.load(Relaxed) == INJECT_COUNT, "not every task ran exactly once")
}

fn inject_1(runtime: &Runtime) -> Answer {
    inject(runtime, 1)
}

fn inject_2(runtime: &Runtime) -> Answer {
    inject(runtime, 2)
}

fn inject_4(runtime: &Runtime) -> Answer {
    inject(runtime, 4)
}

fn inject_8(runtime: &Runtime) -> Answer {
    inject(runtime, 8)
}

fn wake(runtime: &Runtime) -> Answer {
    let count = if is_quick() { WAKE_QUICK } else { WAKE_SAMPLES };
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        std::thread::sleep(WAKE_GAP);
        let start = Instant::now();
        let began = runtime.block_on(runtime.spawn(async { Instant::now() }));
        let began = began.map_err(|_| "a task did not end")?;
        samples.push(began.duration_since(start).as_nanos() as u64);
    }
    Ok(samples)
}

fn channel_mpsc(runtime: &Runtime) -> Answer {
    let (sender, mut receiver) = mpsc::channel(MPSC_CAPACITY);
    for _ in 0..MPSC_SENDERS {
        let sender = sender.clone();
        runtime.spawn(async move {
            for i in 0..MPSC_ITEMS / MPSC_SENDERS {
                if sender.send(i).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let sum = inside(runtime, async move {
        let mut sum = 0;
        while let Some(i) = receiver.recv().await {
            sum += i;
        }
        sum
    });
    let each = MPSC_ITEMS / MPSC_SENDERS;
    check(sum == MPSC_SENDERS * each * (each - 1) / 2, "wrong sum")
}

fn mutex_contended(runtime: &Runtime) -> Answer {
    let held = Arc::new(Mutex::new(0));
    let all: Vec<_> = (0..MUTEX_TASKS)
        .map(|_| {
            let held = held.clone();
            runtime.spawn(async move {
                for _ in 0..MUTEX_LOCKS / MUTEX_TASKS {
                    *held.lock().await += 1;
                }
            })
        })
        .collect();
    for task in all {
        runtime.block_on(task).map_err(|_| "a task did not end")?;
    }
    let sum = *runtime.block_on(held.lock());
    check(sum == MUTEX_LOCKS, "the lock did not exclude")
}

const ROWS: [Row; 15] = [
    Row { workload: "spawn", ops: SPAWN_COUNT, runs: 8, run: spawn },
    Row { workload: "spawn_join", ops: JOIN_COUNT, runs: 8, run: spawn_join },
    Row { workload: "chain", ops: CHAIN_COUNT, runs: 8, run: chain },
    Row { workload: "yield", ops: YIELD_COUNT, runs: 8, run: yield_1 },
    Row { workload: "yield_100", ops: YIELD_COUNT, runs: 8, run: yield_100 },
    Row { workload: "yield_1000", ops: STORM_TASKS * STORM_YIELDS, runs: 4, run: yield_1000 },
    Row { workload: "inject1", ops: INJECT_COUNT, runs: 4, run: inject_1 },
    Row { workload: "inject2", ops: INJECT_COUNT, runs: 4, run: inject_2 },
    Row { workload: "inject4", ops: INJECT_COUNT, runs: 4, run: inject_4 },
    Row { workload: "inject8", ops: INJECT_COUNT, runs: 4, run: inject_8 },
    Row { workload: "pingpong", ops: PINGPONG_HOPS, runs: 8, run: pingpong },
    Row { workload: "pingpong_channel", ops: PINGPONG_HOPS, runs: 4, run: pingpong_channel },
    Row { workload: "wake", ops: WAKE_SAMPLES as u64, runs: 1, run: wake },
    Row { workload: "channel_mpsc", ops: MPSC_ITEMS, runs: 2, run: channel_mpsc },
    Row { workload: "mutex_contended", ops: MUTEX_LOCKS, runs: 2, run: mutex_contended },
];

/// Runs a row; the ns of a run and of an operation, and latencies in ns.
fn time(row: &Row, runtime: &Runtime) -> Result<(f64, f64, Vec<u64>), &'static str> {
    if row.runs > 1 {
        (row.run)(runtime)?;
    }
    let runs = if is_quick() { (row.runs + 3) / 4 } else { row.runs };
    let start = Instant::now();
    let mut latencies = Vec::new();
    for _ in 0..runs {
        latencies.extend((row.run)(runtime)?);
    }
    let took = start.elapsed().as_nanos() as f64 / f64::from(runs);
    latencies.sort_unstable();
    if latencies.is_empty() {
        Ok((took, took / row.ops as f64, latencies))
    } else {
        let sum = latencies.iter().sum::<u64>() as f64;
        Ok((sum, sum / latencies.len() as f64, latencies))
    }
}

/// The entry as Google Benchmark writes it; false: it is an error.
fn measure(name: &str, row: &Row, workers: usize) -> (String, bool) {
    let mut text = format!(
        r#"{{"name":"{name}","run_name":"{name}","run_type":"iteration","time_unit":"ms","iterations":{}"#,
        row.runs
    );
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_time().build();
    let result = match &runtime {
        Ok(runtime) => time(row, runtime),
        Err(_) => Err("it could not be started"),
    };
    match result {
        Err(wrong) => {
            write!(text, r#","error_occurred":true,"error_message":"{wrong}"}}"#).unwrap();
            (text, false)
        }
        Ok((took, per_op, latencies)) => {
            write!(text, r#","real_time":{},"ns_per_op":{per_op}"#, took / 1e6).unwrap();
            if let Some(peak) = peak_kb() {
                write!(text, r#","peak_rss_kb":{peak}"#).unwrap();
            }
            if !latencies.is_empty() {
                percentiles(&mut text, &latencies);
            }
            text.push('}');
            (text, true)
        }
    }
}

/// The most memory that the process has had, where the system tells it.
fn peak_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn percentiles(text: &mut String, sorted: &[u64]) {
    for (name, per_mille) in
        [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999), ("max", 1000)]
    {
        let index = (sorted.len() * per_mille + 999) / 1000 - 1;
        write!(text, r#","{name}_ns":{}"#, sorted[index]).unwrap();
    }
    if let Ok(path) = std::env::var("JD_BENCH_HISTOGRAM") {
        let lines: String = sorted.iter().map(|ns| format!("{ns} 1\n")).collect();
        if let Err(error) = std::fs::write(path, lines) {
            eprintln!("{error}");
        }
    }
}

fn main() {
    let list = std::env::var("JD_BENCH_WORKERS").unwrap_or_else(|_| "1,2".to_string());
    let workers: Vec<usize> = list.split(',').filter_map(|w| w.parse().ok()).collect();
    let (mut wanted, mut out, mut only_list) = (String::new(), None, false);
    for arg in std::env::args().skip(1) {
        if let Some(filter) = arg.strip_prefix("--benchmark_filter=") {
            // The driver asks for one row by its whole name.
            wanted = filter.chars().filter(|c| !"^$\\".contains(*c)).collect();
        } else if let Some(path) = arg.strip_prefix("--benchmark_out=") {
            out = Some(path.to_string());
        } else if arg == "--benchmark_list_tests" {
            only_list = true;
        }
    }
    let (mut entries, mut all_right) = (Vec::new(), true);
    for row in &ROWS {
        for count in &workers {
            let name = format!("{}/tokio/{count}", row.workload);
            if only_list {
                println!("{name}");
            } else if wanted.is_empty() || wanted == name {
                let (entry, right) = measure(&name, row, *count);
                entries.push(entry);
                all_right &= right;
            }
        }
    }
    if let Some(path) = out {
        let text = format!(r#"{{"context":{{}},"benchmarks":[{}]}}"#, entries.join(","));
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("{error}");
            all_right = false;
        }
    }
    exit(if all_right { 0 } else { 1 });
}
