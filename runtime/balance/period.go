package balance

// maxPeriod bounds the precomputed sequence of wrr, in picks.
const maxPeriod = 65536

// smoothPeriod is one period of smooth weighted round robin as nginx defines it:
// every pick adds each server's weight to its credit and takes the server with
// the most, the earlier one on a tie, who pays the sum. Over the period each
// server appears exactly weight/gcd times, and in no prefix of it a whole time more
// than its due. members and weights run in parallel; weights are > 0.
func smoothPeriod(members []uint16, weights []int) []uint16 {
	turns, total := reduce(weights)
	if total == len(members) { // all alike: the sequence is the list
		return members
	}
	credit := make([]int, len(members))
	period := make([]uint16, total)
	for k := range period {
		best := 0
		for i, w := range turns {
			credit[i] += w
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		period[k] = members[best]
	}
	return period
}

// reduce divides weights by their greatest common divisor and returns them with
// their sum. Weights of 0-100 exceed maxPeriod only from 656 servers on; those are
// scaled down, keeping a turn for everyone.
func reduce(weights []int) (turns []int, total int) {
	divisor := 0
	for _, w := range weights {
		divisor = gcd(divisor, w)
	}
	sum := 0
	for _, w := range weights {
		sum += w / divisor
	}
	turns = make([]int, len(weights))
	for i, w := range weights {
		turns[i] = w / divisor
		if sum > maxPeriod {
			turns[i] = max(1, turns[i]*maxPeriod/sum)
		}
		total += turns[i]
	}
	return turns, total
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
