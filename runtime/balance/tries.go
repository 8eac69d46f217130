package balance

import "math"

// Tries is how it went with some servers: connections and requests that were tried, and
// those of them that failed or were answered with 5xx.
type Tries struct{ Made, Failed int64 }

// chance is how improbable it must be that servers of one quality differ as much before
// they are taken to differ.
const chance = 1e-4

// Worse reports whether servers fail more often than others, by more than chance explains:
// Fisher's exact test, one-sided, at one in ten thousand. Without tries on both sides
// there is nothing to compare.
func (t Tries) Worse(others Tries) bool {
	if t.Failed <= 0 || others.Made <= 0 || t.Failed*others.Made <= others.Failed*t.Made {
		return false
	}
	// How probable it is that of all failures k fall on t, the number of tries and of
	// failures being what they are.
	failed := t.Failed + others.Failed
	whole := choices(t.Made+others.Made, failed)
	tail := 0.0
	for k := t.Failed; k <= min(failed, t.Made); k++ {
		p := math.Exp(choices(t.Made, k) + choices(others.Made, failed-k) - whole)
		if tail += p; p < tail*1e-9 {
			break // the rest decreases even faster
		}
	}
	return tail < chance
}

// choices is the logarithm of how many ways there are to choose k of n.
func choices(n, k int64) float64 {
	f := func(n int64) float64 { v, _ := math.Lgamma(float64(n) + 1); return v }
	return f(n) - f(k) - f(n-k)
}
