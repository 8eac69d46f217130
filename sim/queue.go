package sim

// queue is a ring that grows: first in is first out.
type queue[T any] struct {
	ring        []T
	first, size int
}

func (q *queue[T]) empty() bool { return q.size == 0 }
func (q *queue[T]) head() *T    { return &q.ring[q.first] }

func (q *queue[T]) push(v T) {
	if q.size == len(q.ring) {
		grown := make([]T, max(16, 2*q.size))
		n := copy(grown, q.ring[q.first:])
		copy(grown[n:], q.ring[:q.first])
		q.ring, q.first = grown, 0
	}
	at := q.first + q.size
	if at >= len(q.ring) {
		at -= len(q.ring)
	}
	q.ring[at] = v
	q.size++
}

func (q *queue[T]) pop() T {
	var none T
	v := q.ring[q.first]
	q.ring[q.first] = none
	if q.first++; q.first == len(q.ring) {
		q.first = 0
	}
	q.size--
	return v
}

// insert puts a value before those at the end that come later, of which there are some only after a change
// of how long they wait.
func (q *queue[T]) insert(v T, later func(*T) bool) {
	q.push(v)
	for k := q.size - 1; k > 0 && later(q.at(k-1)); k-- {
		*q.at(k), *q.at(k - 1) = *q.at(k - 1), *q.at(k)
	}
}

// at is the one that k others are before.
func (q *queue[T]) at(k int) *T { return &q.ring[(q.first+k)%len(q.ring)] }
