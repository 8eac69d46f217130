package sim

import "math/bits"

// A histogram counts times, in ns, in 128 steps an octave: what it tells of a quantile
// is off by 1/256 of it at most, and exact below 128 ns. Its size is the same for any number of times.
type histogram struct {
	counts [(65 - histogramBits) << histogramBits]int64
	n, max int64
}

const histogramBits = 7

func (h *histogram) record(v int64) {
	v = max(v, 0)
	octave := max(0, bits.Len64(uint64(v))-histogramBits-1)
	h.counts[octave<<histogramBits+int(v>>octave)]++
	h.n++
	h.max = max(h.max, v)
}

func (h *histogram) add(other *histogram) {
	for k, n := range other.counts {
		h.counts[k] += n
	}
	h.n += other.n
	h.max = max(h.max, other.max)
}

// quantile returns the time that permille thousandths of all do not exceed; 0 of none.
func (h *histogram) quantile(permille int64) int64 {
	return h.ranked((h.n*permille + 999) / 1000)
}

// ranked returns the time of that rank, 1 being the shortest; 0 of none.
func (h *histogram) ranked(rank int64) int64 {
	for k, seen := 0, int64(0); k < len(h.counts); k++ {
		if seen += h.counts[k]; seen >= rank && rank > 0 {
			return min(middle(k), h.max)
		}
	}
	return 0
}

// middle is the time that stands for those of a step.
func middle(step int) int64 {
	octave := max(0, step>>histogramBits-1)
	return int64(step-octave<<histogramBits)<<octave + (1<<octave-1)/2
}
