package sim

import "cmp"

// kind orders what happens at one instant.
type kind uint8

const (
	probeEnds kind = iota
	probeStarts
	faultEnds
	faultStarts
	faultFlips // a flapping server goes or comes back
	warmupEnds
	serverWarms // a step of a slow start
	serverCuts  // the time of a drain is up
	drainEnds
	batchStarts // of a deployment
	batchStops
	batchDrains
	drainStarts
	changes
	stepEnds // of a timeline
)

// event is something that happens beside the traffic.
type event struct {
	at    int64
	kind  kind
	index int // of the server in run.servers, or of the fault, drain or deployment
}

func (e event) before(f event) bool {
	return cmp.Or(cmp.Compare(e.at, f.at), cmp.Compare(e.kind, f.kind), cmp.Compare(e.index, f.index)) < 0
}

// events is a binary heap. Its order is total, so that the result depends on
// nothing else. (container/heap would allocate for each event.)
type events []event

func (h *events) push(e event) {
	*h = append(*h, e)
	q := *h
	for k := len(q) - 1; k > 0; {
		parent := (k - 1) / 2
		if !q[k].before(q[parent]) {
			return
		}
		q[k], q[parent] = q[parent], q[k]
		k = parent
	}
}

func (h *events) pop() event {
	q := *h
	first, last := q[0], len(q)-1
	q[0] = q[last]
	q = q[:last]
	*h = q
	for k := 0; ; {
		least := k
		for child := 2*k + 1; child <= 2*k+2 && child < len(q); child++ {
			if q[child].before(q[least]) {
				least = child
			}
		}
		if least == k {
			return first
		}
		q[k], q[least] = q[least], q[k]
		k = least
	}
}
