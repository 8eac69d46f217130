//go:build linux

package netloop

import (
	"math/bits"
	"time"
)

// Tick is the resolution of timers. A timer never fires early and, on a loop
// that is not overloaded, at most one tick late.
const Tick = 10 * time.Millisecond

const (
	nearBits  = 8
	nearSlots = 1 << nearBits // one tick each: 2.56 s
	farSlots  = 512           // one turn of the near slots each: 1310 s
)

// Expirer is told when its timer has run out.
type Expirer interface{ Expired() }

// Timer is one deadline. It lives inside the record that waits for it and is
// linked into the loop's wheel while armed, so arming and stopping are O(1) and
// allocate nothing.
type Timer struct {
	next, prev *Timer
	at         int64 // tick
	owner      Expirer
}

// Init names the owner, once, before the first use.
func (t *Timer) Init(owner Expirer) { t.owner = owner }

// Armed reports whether the timer will fire.
func (t *Timer) Armed() bool { return t.next != nil }

func (t *Timer) unlink() {
	if t.next == nil {
		return
	}
	t.next.prev, t.prev.next = t.prev, t.next
	t.next, t.prev = nil, nil
}

// link puts t at the end of the circular list whose sentinel is head.
func (t *Timer) link(head *Timer) {
	if head.next == nil {
		head.next, head.prev = head, head
	}
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
}

func (t *Timer) empty() bool { return t.next == nil || t.next == t }

// wheel is a timer wheel of two levels. The near slots hold the timers of the
// block of nearSlots ticks that now lies in; a far slot holds those of one later
// block and is dealt into the near slots when its block begins. A set bit may be
// stale (its timers were stopped) and then costs one idle turn.
type wheel struct {
	now     int64 // every timer up to this tick has fired
	near    [nearSlots]Timer
	far     [farSlots]Timer
	nearMap [nearSlots / 64]uint64
	farMap  [farSlots / 64]uint64
}

// add arms t for the given tick, or for the next one if that is past.
func (w *wheel) add(t *Timer, at int64) {
	t.unlink()
	t.at = max(at, w.now+1)
	w.place(t)
}

func (w *wheel) place(t *Timer) {
	block, current := t.at>>nearBits, w.now>>nearBits
	if block == current {
		slot := t.at & (nearSlots - 1)
		t.link(&w.near[slot])
		w.nearMap[slot/64] |= 1 << (slot % 64)
		return
	}
	// Beyond the horizon a timer waits in the last slot and is placed again from there.
	slot := min(block, current+farSlots-1) & (farSlots - 1)
	t.link(&w.far[slot])
	w.farMap[slot/64] |= 1 << (slot % 64)
}

// nextTick is the first tick at which there may be something to do, or -1.
func (w *wheel) nextTick() int64 {
	block := w.now &^ (nearSlots - 1)
	if i := nextBit(w.nearMap[:], int(w.now-block)+1); i >= 0 {
		return block + int64(i)
	}
	current := int((w.now >> nearBits) & (farSlots - 1))
	if i := nextBit(w.farMap[:], current+1); i >= 0 {
		return block + int64(i-current)<<nearBits
	}
	if i := nextBit(w.farMap[:], 0); i >= 0 && i < current {
		return block + int64(i-current+farSlots)<<nearBits
	}
	return -1
}

// nextBit returns the index of the first bit set at or after from, or -1.
func nextBit(words []uint64, from int) int {
	for i := from / 64; i < len(words); i++ {
		word := words[i]
		if i == from/64 {
			word &= ^uint64(0) << (from % 64)
		}
		if word != 0 {
			return i*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// advance fires, in order of ticks, everything due up to and including tick to.
func (w *wheel) advance(to int64) {
	for w.now < to {
		next := w.nextTick()
		if next < 0 || next > to {
			w.now = to
			return
		}
		w.now = next
		if next&(nearSlots-1) == 0 {
			slot := (next >> nearBits) & (farSlots - 1)
			w.farMap[slot/64] &^= 1 << (slot % 64)
			w.deal(&w.far[slot])
		}
		slot := next & (nearSlots - 1)
		w.nearMap[slot/64] &^= 1 << (slot % 64)
		fire(&w.near[slot])
	}
}

// deal places the timers of a far slot again.
func (w *wheel) deal(head *Timer) {
	var list Timer
	for take(&list, head); !list.empty(); {
		t := list.next
		t.unlink()
		w.place(t)
	}
}

// fire calls the owners in a slot. They may arm and stop any timer meanwhile.
func fire(head *Timer) {
	var list Timer
	for take(&list, head); !list.empty(); {
		t := list.next
		t.unlink()
		t.owner.Expired()
	}
}

// take moves all timers of head to list.
func take(list, head *Timer) {
	if head.empty() {
		return
	}
	list.next, list.prev = head.next, head.prev
	list.next.prev, list.prev.next = list, list
	head.next, head.prev = nil, nil
}
