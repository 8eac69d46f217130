package sim

import (
	"context"
	"fmt"
	"slices"

	"slbctl/sim/trace"
	"slbctl/spec"
)

// measured are the service times that a log tells, as often as it tells each. They are kept in the steps of a
// histogram, so that any log takes the same room, and are right to 1/256.
type measured struct {
	times  []int64 // ns, ascending
	bounds []uint64
	total  uint64
	// servers says that the log names servers: then what has none was answered by no server.
	servers bool
}

// readMeasured reads the log of a service block; nil if it has none.
func readMeasured(ctx context.Context, s *spec.Service) (*measured, error) {
	if s == nil || s.Log == "" {
		return nil, nil
	}
	log, err := trace.Open(ctx, s.Log, trace.Options{})
	if err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	m, h := &measured{servers: len(log.Servers) > 1}, &histogram{}
	for q := (trace.Request{}); log.Next(&q); {
		if took := m.of(&q); took > 0 {
			h.record(took)
		}
	}
	err = log.Err()
	if closed := log.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	if h.n == 0 {
		return nil, fmt.Errorf("service: %s does not tell how long servers took: write time = \"8ms\" instead of log", s.Log)
	}
	for k, n := range h.counts {
		if n > 0 {
			m.total += uint64(n)
			m.times, m.bounds = append(m.times, middle(k)), append(m.bounds, m.total)
		}
	}
	return m, nil
}

// of is how long the server of a request took; 0 where the log does not tell.
func (m *measured) of(q *trace.Request) int64 {
	if m.servers && q.Server == 0 {
		return 0
	}
	return int64(q.Took)
}

// mean is that of all times.
func (m *measured) mean() int64 {
	sum, below := 0.0, uint64(0)
	for k, bound := range m.bounds {
		sum += float64(m.times[k]) * float64(bound-below)
		below = bound
	}
	return int64(sum / float64(m.total))
}

// draw returns one of the times, by 64 random bits.
func (m *measured) draw(random uint64) int64 {
	k, _ := slices.BinarySearch(m.bounds, below(random, m.total)+1)
	return m.times[k]
}
