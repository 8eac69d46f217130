package balance

import (
	"math/rand/v2"
	"testing"
)

func TestWorse(t *testing.T) {
	for _, c := range []struct {
		a, b Tries
		want bool
	}{
		{Tries{10, 0}, Tries{90, 0}, false},
		{Tries{1, 1}, Tries{9, 0}, false}, // may happen
		{Tries{3, 3}, Tries{27, 0}, false},
		{Tries{4, 4}, Tries{36, 0}, true}, // 1 in 91,390
		{Tries{40, 40}, Tries{360, 360}, false},
		{Tries{40, 20}, Tries{360, 180}, false},
		{Tries{1000, 30}, Tries{9000, 90}, true},  // 3 % and 1 %
		{Tries{1000, 13}, Tries{9000, 90}, false}, // 1.3 % and 1 %
		{Tries{1000, 1}, Tries{1000, 100}, false}, // better
		{Tries{100, 100}, Tries{0, 0}, false},     // nobody to compare with
		{Tries{0, 0}, Tries{100, 0}, false},
		{Tries{1_000_000_000, 1_100_000}, Tries{1_000_000_000, 1_000_000}, true},
		{Tries{1_000_000_000, 1_000_100}, Tries{1_000_000_000, 1_000_000}, false},
	} {
		if got := c.a.Worse(c.b); got != c.want {
			t.Errorf("%+v worse than %+v: %v", c.a, c.b, got)
		}
	}
}

// TestWorseIsSeldomWrong draws both from servers of one quality: one look in ten thousand,
// at most, may find a difference.
func TestWorseIsSeldomWrong(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	wrong, looks := 0, 100_000
	for range looks {
		var a, b Tries
		for i := range 200 {
			side := &b
			if i%5 == 0 {
				side = &a
			}
			side.Made++
			if r.Float64() < 0.1 {
				side.Failed++
			}
		}
		if a.Worse(b) {
			wrong++
		}
	}
	if wrong > 2*looks/10_000 {
		t.Errorf("%d of %d looks were wrong", wrong, looks)
	}
}
