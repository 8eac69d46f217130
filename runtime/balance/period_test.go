package balance

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

func drawWeights(t *rapid.T) []int {
	w := rapid.SliceOfN(rapid.IntRange(0, 100), 1, 12).Draw(t, "weights")
	w[rapid.IntRange(0, len(w)-1).Draw(t, "positive")] = rapid.IntRange(1, 100).Draw(t, "weight")
	return w
}

// Over a period counts are exact. Within every prefix of it no server is a whole
// connection ahead of its due, and none further behind than the harmonic number of
// servers: serving the one that is owed most is the cup game's greedy strategy.
// (Weights 48, 1, 1, 1, 9 show that being behind by a whole connection happens.)
func TestSmoothPeriodIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := drawWeights(t)
		period := group(spec.SchedulerWRR, weights...).Table(well).sequence
		sum, count, harmonic := 0, make([]int, len(weights)), 0.0
		for i, w := range weights {
			sum += w
			harmonic += 1 / float64(i+1)
		}
		for k, b := range period {
			count[b]++
			for i, w := range weights {
				ahead := count[i]*sum - (k+1)*w // in units of 1/sum connections
				if ahead >= sum || float64(-ahead) >= harmonic*float64(sum) {
					t.Fatalf("after %d picks of %v server %d has %d", k+1, weights, i, count[i])
				}
			}
		}
		for i, w := range weights {
			if count[i]*sum != len(period)*w {
				t.Fatalf("weights %v: server %d has %d of %d", weights, i, count[i], len(period))
			}
		}
	})
}

func TestScalingWeightsKeepsTheSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 10), 1, 8).Draw(t, "weights")
		k := rapid.IntRange(2, 10).Draw(t, "factor")
		scaled := make([]int, len(weights))
		for i, w := range weights {
			scaled[i] = w * k
		}
		a := group(spec.SchedulerWRR, weights...).Table(well).sequence
		b := group(spec.SchedulerWRR, scaled...).Table(well).sequence
		if !slices.Equal(a, b) {
			t.Fatalf("%v gives %v, times %d gives %v", weights, a, k, b)
		}
	})
}

// Splitting a server of weight 2w into two of w leaves the others' counts alone.
func TestSplittingAServerKeepsTheOthers(t *testing.T) {
	whole := group(spec.SchedulerWRR, 60, 30, 10).Table(well).Shares()
	split := group(spec.SchedulerWRR, 30, 30, 30, 10).Table(well).Shares()
	if whole[0] != split[0]+split[1] || whole[1] != split[2] || whole[2] != split[3] {
		t.Errorf("shares %v became %v", whole, split)
	}
}

func TestHugePeriodIsScaledDown(t *testing.T) {
	weights := make([]int, 2000)
	for i := range weights {
		weights[i] = 1 + i%100
	}
	turns, total := reduce(weights)
	if total > maxPeriod || total < maxPeriod*9/10 {
		t.Errorf("period of %d picks, want just under %d", total, maxPeriod)
	}
	if turns[0] != 1 || turns[99] < 60 || turns[99] > 100 {
		t.Errorf("weights 1 and 100 have %d and %d turns", turns[0], turns[99])
	}
}
