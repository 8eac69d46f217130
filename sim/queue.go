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
		grown := make([]T, max(64, 2*q.size))
		n := copy(grown, q.ring[q.first:])
		copy(grown[n:], q.ring[:q.first])
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.size)%len(q.ring)] = v
	q.size++
}

func (q *queue[T]) pop() T {
	var none T
	v := q.ring[q.first]
	q.ring[q.first] = none
	q.first = (q.first + 1) % len(q.ring)
	q.size--
	return v
}
