package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// planHeap is what a plan of 5,000 resources may take, in bytes, besides the program itself.
const planHeap = 46 << 20

// heap tells the collections whether there still is a bound, which they move.
var heap struct {
	sync.Mutex
	bounded bool
}

// letHeapGrow has the collector run seldom: a plan lives for a fraction of a second, and
// most of what it makes is used to its end. The heap may grow to planHeap, and where most of
// that is in use to twice that: a fixed bound would have the collector run all the time.
func letHeapGrow() {
	heap.Lock()
	defer heap.Unlock()
	heap.bounded = true
	debug.SetGCPercent(-1) // below the bound it need not run at all
	debug.SetMemoryLimit(planHeap)
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var collected func(*[16]byte)
	collected = func(x *[16]byte) {
		heap.Lock()
		defer heap.Unlock()
		if !heap.bounded {
			return
		}
		metrics.Read(used)
		if n := int64(used[0].Value.Uint64()); n > planHeap/4*3 {
			debug.SetMemoryLimit(2 * n)
		}
		runtime.SetFinalizer(x, collected) // after the next collection again
	}
	runtime.SetFinalizer(new([16]byte), collected)
}

// unboundHeap ends what letHeapGrow began: an apply holds the documents of the change as well.
func unboundHeap() {
	heap.Lock()
	defer heap.Unlock()
	heap.bounded = false
	debug.SetMemoryLimit(math.MaxInt64)
	debug.SetGCPercent(400)
}
