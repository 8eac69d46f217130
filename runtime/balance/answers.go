package balance

import "slices"

// AnswerOrder is the order in which a name server gives out the values of a weighted
// record, one for each query, over and over: in each round every value whose weight
// is not used up yet has its turn, so 2:1:1 is 1, 2, 3, 1. That is the sequence of the
// product's weighted answers. A value of weight 0 is never given out, and with all of
// them 0 nothing is.
func AnswerOrder(weights []int) []uint16 {
	used := slices.DeleteFunc(slices.Clone(weights), func(w int) bool { return w == 0 })
	if len(used) == 0 {
		return nil
	}
	turns, total := reduce(used)
	order := make([]uint16, 0, total)
	for round := 0; len(order) < total; round++ {
		k := 0
		for i, w := range weights {
			if w == 0 {
				continue
			}
			if turns[k] > round {
				order = append(order, uint16(i))
			}
			k++
		}
	}
	return order
}
