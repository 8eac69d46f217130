package balance

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAnswerOrder(t *testing.T) {
	for _, test := range []struct {
		weights []int
		want    []uint16
	}{
		{[]int{1, 1, 1}, []uint16{0, 1, 2}},
		{[]int{100, 100, 100}, []uint16{0, 1, 2}},
		{[]int{2, 1, 1}, []uint16{0, 1, 2, 0}}, // the product's example: 1, 2, 3, 1, 1, 2, ...
		{[]int{0, 3, 1}, []uint16{1, 2, 1, 1}},
		{[]int{0, 50}, []uint16{1}},
		{[]int{0, 0}, nil},
		{nil, nil},
	} {
		if got := AnswerOrder(test.weights); !slices.Equal(got, test.want) {
			t.Errorf("%v gives %v, want %v", test.weights, got, test.want)
		}
	}
}

// TestAnswerShares holds the order to exact shares, and to rotate: between two turns of
// the heaviest value no other one comes twice.
func TestAnswerShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 100), 1, 20).Draw(t, "weights")
		sum := 0
		for _, w := range weights {
			sum += w
		}
		order := AnswerOrder(weights)
		counts := make([]int, len(weights))
		for _, i := range order {
			counts[i]++
		}
		for i, w := range weights {
			if counts[i]*sum != w*len(order) {
				t.Fatalf("%v gives value %d %d of %d times", weights, i, counts[i], len(order))
			}
		}
		heaviest := slices.Index(weights, slices.Max(weights))
		seen := map[uint16]bool{}
		for _, i := range order {
			if int(i) == heaviest {
				clear(seen)
			} else if seen[i] {
				t.Fatalf("%v is %v: value %d comes twice in one round", weights, order, i)
			}
			seen[i] = true
		}
	})
}
