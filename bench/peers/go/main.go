// main.go - Go as a contender: goroutines, channels, its mutex.
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// As in bench/sizes.h.
const (
	spawnCount   = 250 * 1000
	spawnWave    = 1000
	joinCount    = 125 * 1000
	chainCount   = 250 * 1000
	yieldCount   = 250 * 1000
	yieldTasks   = 100
	stormTasks   = 1000
	stormYields  = 1000
	pingpongHops = 200 * 1000
	skynetWidth  = 10
	skynetLeaves = 1000 * 1000
	skynetTasks  = 1111110
	mpscItems    = 400 * 1000
	mpscSenders  = 4
	mpscCapacity = 256
	mutexLocks   = 400 * 1000
	mutexTasks   = 8
)

// There is no wake row: a Go program has no thread outside of its scheduler.
//
// A row; run returns what is wrong, or "".
type row struct {
	workload string
	ops      float64
	runs     int
	run      func() string
}

func spawn() string {
	var ran atomic.Int64
	var wave sync.WaitGroup
	for i := 0; i < spawnCount/spawnWave; i++ {
		wave.Add(spawnWave)
		for j := 0; j < spawnWave; j++ {
			go func() {
				ran.Add(1)
				wave.Done()
			}()
		}
		wave.Wait()
	}
	return check(ran.Load() == spawnCount, "not every goroutine ran exactly once")
}

func spawnJoin() string {
	sum := 0
	for i := 0; i < joinCount; i++ {
		done := make(chan int, 1)
		go func() { done <- 1 }()
		sum += <-done
	}
	return check(sum == joinCount, "not every goroutine ran exactly once")
}

func link(left int, done chan int) {
	if left == 1 {
		done <- chainCount
		return
	}
	go link(left-1, done)
}

func chain() string {
	done := make(chan int)
	go link(chainCount, done)
	return check(<-done == chainCount, "the chain broke")
}

func yieldOf(tasks, each int) func() string {
	return func() string {
		var done sync.WaitGroup
		done.Add(tasks)
		for i := 0; i < tasks; i++ {
			go func() {
				for j := 0; j < each; j++ {
					runtime.Gosched()
				}
				done.Done()
			}()
		}
		done.Wait()
		return ""
	}
}

// A goroutine waits for another by a channel, so both rows are of channels.
func pingpong(capacity int) func() string {
	return func() string { return rally(make(chan int, capacity), make(chan int, capacity)) }
}

func rally(there, back chan int) string {
	go func() {
		for hop := range there {
			back <- hop + 1
		}
		close(back)
	}()
	hop := 0
	for hop < pingpongHops {
		there <- hop + 1
		hop = <-back
	}
	close(there)
	return check(hop == pingpongHops, "wrong number of hops")
}

func node(first, size int, up chan int) {
	if size == 1 {
		up <- first
		return
	}
	below, sum := make(chan int, skynetWidth), 0
	for i := 0; i < skynetWidth; i++ {
		go node(first+i*size/skynetWidth, size/skynetWidth, below)
	}
	for i := 0; i < skynetWidth; i++ {
		sum += <-below
	}
	up <- sum
}

func skynet() string {
	up := make(chan int)
	go node(0, skynetLeaves, up)
	return check(<-up == skynetLeaves*(skynetLeaves-1)/2, "wrong sum")
}

func channelMpsc() string {
	items, sum := make(chan int, mpscCapacity), 0
	for i := 0; i < mpscSenders; i++ {
		go func() {
			for j := 0; j < mpscItems/mpscSenders; j++ {
				items <- j
			}
		}()
	}
	for i := 0; i < mpscItems; i++ {
		sum += <-items
	}
	each := mpscItems / mpscSenders
	return check(sum == mpscSenders*each*(each-1)/2, "wrong sum")
}

func mutexContended() string {
	var mutex sync.Mutex
	var done sync.WaitGroup
	held := 0
	done.Add(mutexTasks)
	for i := 0; i < mutexTasks; i++ {
		go func() {
			for j := 0; j < mutexLocks/mutexTasks; j++ {
				mutex.Lock()
				held++
				mutex.Unlock()
			}
			done.Done()
		}()
	}
	done.Wait()
	return check(held == mutexLocks, "the lock did not exclude")
}

func check(right bool, wrong string) string {
	if right {
		return ""
	}
	return wrong
}

var rows = []row{
	{"skynet", skynetTasks, 1, skynet},
	{"spawn", spawnCount, 8, spawn},
	{"spawn_join", joinCount, 8, spawnJoin},
	{"chain", chainCount, 8, chain},
	{"yield", yieldCount, 8, yieldOf(1, yieldCount)},
	{"yield_100", yieldCount, 8, yieldOf(yieldTasks, yieldCount/yieldTasks)},
	{"yield_1000", stormTasks * stormYields, 4, yieldOf(stormTasks, stormYields)},
	{"pingpong", pingpongHops, 8, pingpong(0)},
	{"pingpong_channel", pingpongHops, 4, pingpong(1)},
	{"channel_mpsc", mpscItems, 2, channelMpsc},
	{"mutex_contended", mutexLocks, 2, mutexContended},
}

// Measures as Jackdaw's shim does: one run before the clock starts when there are several.
func measure(name string, r row) map[string]any {
	wrong, runs := "", r.runs
	if os.Getenv("JD_BENCH_QUICK") != "" {
		runs = (runs + 3) / 4
	}
	entry := map[string]any{"name": name, "run_name": name, "run_type": "iteration",
		"iterations": runs, "time_unit": "ms"}
	if r.runs > 1 {
		wrong = r.run()
	}
	start := time.Now()
	for i := 0; i < runs && wrong == ""; i++ {
		wrong = r.run()
	}
	took := float64(time.Since(start).Nanoseconds()) / float64(runs)
	if wrong != "" {
		entry["error_occurred"], entry["error_message"] = true, wrong
		return entry
	}
	entry["real_time"], entry["ns_per_op"] = took/1e6, took/r.ops
	if peak := peakKb(); peak > 0 {
		entry["peak_rss_kb"] = peak
	}
	return entry
}

// The most memory that the process has had; 0 where the system does not tell.
func peakKb() (peak int) {
	status, _ := os.ReadFile("/proc/self/status")
	if at := strings.Index(string(status), "VmHWM:"); at >= 0 {
		fmt.Sscan(string(status)[at+len("VmHWM:"):], &peak)
	}
	return peak
}

// Calls do for every row, with its number of workers.
func eachRow(do func(name string, workers int, r row)) {
	list := os.Getenv("JD_BENCH_WORKERS")
	if list == "" {
		list = "1,2"
	}
	for _, r := range rows {
		for _, text := range strings.Split(list, ",") {
			if workers, err := strconv.Atoi(text); err == nil && workers > 0 {
				do(fmt.Sprintf("%s/go/%d", r.workload, workers), workers, r)
			}
		}
	}
}

func main() {
	filter, out := "", ""
	for _, arg := range os.Args[1:] {
		switch {
		case arg == "--benchmark_list_tests":
			eachRow(func(name string, _ int, _ row) { fmt.Println(name) })
			return
		case strings.HasPrefix(arg, "--benchmark_filter="):
			filter = strings.SplitN(arg, "=", 2)[1]
		case strings.HasPrefix(arg, "--benchmark_out="):
			out = strings.SplitN(arg, "=", 2)[1]
		}
	}
	wanted, err := regexp.Compile(filter)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	entries, status := []map[string]any{}, 0
	eachRow(func(name string, workers int, r row) {
		if !wanted.MatchString(name) {
			return
		}
		runtime.GOMAXPROCS(workers)
		entry := measure(name, r)
		if entry["error_occurred"] != nil {
			status = 1
		}
		entries = append(entries, entry)
	})
	text, err := json.Marshal(map[string]any{
		"context":    map[string]any{"go": runtime.Version()},
		"benchmarks": entries})
	if err == nil {
		err = os.WriteFile(out, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}
