// SPDX-License-Identifier: GPL-2.0-only

// Goroutines that are bound to threads and wait, each a known number of times: parked WORKLOAD ROUNDS HOLD_MS. A contest as in
// ../contest.h of one holder and one waiter, and its facts.
//
//	mutex     sync.Mutex, which the other one has
//	channel   receives what the other one sends
//
// Go's scheduler puts the thread of a goroutine that waits to sleep, on a futex word of that thread, and any thread may wake it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	clockMonotonic = 1
	clockThreadCPU = 3
	rusageThread   = 1
)

var (
	lock              sync.Mutex
	items             = make(chan int)
	round, calling    int32
	passed, waiterTid int32
	workload          string
	rounds            int32
	holdTime          time.Duration
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

func now(clock uintptr) int64 {
	var ts syscall.Timespec

	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func voluntary() int64 {
	var ru syscall.Rusage

	check(syscall.Getrusage(rusageThread, &ru))
	return ru.Nvcsw
}

func fact(role, format string, args ...interface{}) {
	line := fmt.Sprintf(`{"role":"%s","pid":%d,"tid":%d,"now_ns":%d,"lock":"%s"`, role, os.Getpid(), syscall.Gettid(),
		now(clockMonotonic), workload) + fmt.Sprintf(format, args...) + "}\n"
	out := os.Stdout

	if name := os.Getenv("KNOWN_FACTS"); name != "" {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
		check(err)
		defer file.Close()
		out = file
	}
	_, err := out.WriteString(line)
	check(err)
}

func waiterIsBlocked(nr int32) bool {
	if atomic.LoadInt32(&calling) != nr {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", waiterTid))
	check(err)
	after := strings.LastIndexByte(string(stat), ')')
	return stat[after+2] == 'S'
}

// Until it is blocked in its call of that round, seen three times, a millisecond apart: it may spin before.
func awaitBlocked(nr int32) {
	for seen := 0; seen < 3; time.Sleep(time.Millisecond) {
		if waiterIsBlocked(nr) {
			seen++
		} else {
			seen = 0
		}
	}
}

func call() {
	if workload == "mutex" {
		lock.Lock()
		lock.Unlock()
	} else {
		<-items
	}
}

func waiter() {
	var waits, waitNs, cpuNs, between, betweenNs int64

	waiterTid = int32(syscall.Gettid())
	begin, before := now(clockMonotonic), voluntary()
	for nr := int32(1); nr <= rounds; nr++ {
		spun, since := voluntary(), now(clockMonotonic)
		for atomic.LoadInt32(&round) < nr { // a sleep would be another wait; Go's own scheduler may make one of it
		}
		if spun = voluntary() - spun; spun > 0 {
			between += spun
			betweenNs += now(clockMonotonic) - since
		}
		switches, cpu, began := voluntary(), now(clockThreadCPU), now(clockMonotonic)
		atomic.StoreInt32(&calling, nr)
		call()
		took, burnt := now(clockMonotonic)-began, now(clockThreadCPU)-cpu
		if switches = voluntary() - switches; switches > 0 {
			waits += switches
			waitNs += took
			cpuNs += burnt
		}
		atomic.StoreInt32(&passed, nr)
	}
	fact("waiter", `,"calls":%d,"waits":%d,"wait_ns":%d,"wait_cpu_ns":%d,"begin_ns":%d,"before":%d,"between_ns":%d`, rounds, waits,
		waitNs, cpuNs, begin, before+between, betweenNs)
}

func holder() {
	var heldNs int64

	runtime.LockOSThread()
	for nr := int32(1); nr <= rounds; nr++ {
		if workload == "mutex" {
			lock.Lock()
		}
		atomic.StoreInt32(&round, nr)
		awaitBlocked(nr)
		began := now(clockMonotonic)
		time.Sleep(holdTime)
		heldNs += now(clockMonotonic) - began
		if workload == "mutex" {
			lock.Unlock()
		} else {
			items <- int(nr)
		}
		for atomic.LoadInt32(&passed) < nr {
			time.Sleep(200 * time.Microsecond)
		}
	}
	fact("holder", `,"rounds":%d,"hold_ns":%d`, rounds, heldNs)
}

// The first goroutine, the waiter, keeps the first thread for itself.
func init() {
	runtime.LockOSThread()
}

func main() {
	var holds sync.WaitGroup

	workload = os.Args[1]
	nr, err := strconv.Atoi(os.Args[2])
	check(err)
	ms, err := strconv.Atoi(os.Args[3])
	check(err)
	rounds, holdTime = int32(nr), time.Duration(ms)*time.Millisecond
	holds.Add(1)
	go func() {
		defer holds.Done()
		holder()
	}()
	waiter()
	holds.Wait()
}
