package sim

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// The integer functions are held against the floating-point ones, which are right
// but for their last bits.
func TestLog2(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64Min(1).Draw(t, "x") >> rapid.IntRange(0, 63).Draw(t, "shift") // all magnitudes
		x = max(x, 1)
		if got, want := float64(log2(logTable(), x))/one, math.Log2(float64(x)); math.Abs(got-want) > 2e-8 {
			t.Fatalf("log2(%d) is %.10f, want %.10f", x, got, want)
		}
	})
	for shift := range 64 {
		if got := log2(logTable(), 1<<shift); got != uint64(shift)*one {
			t.Errorf("log2(2^%d) is %d units, want it exact", shift, got)
		}
	}
}

func TestZipfWeight(t *testing.T) {
	for _, exponent := range []float64{0.5, 1, 1.05, 2.25, 10} {
		for _, rank := range []uint64{1, 2, 3, 10, 1000, 1 << 24} {
			got := float64(zipfWeight(rank, uint64(exponent*(1<<32)))) / (1 << 63)
			want := math.Pow(float64(rank), -exponent)
			if math.Abs(got-want) > 1e-6*want+1.0/(1<<62) {
				t.Errorf("%d^-%v is %g, want %g", rank, exponent, got, want)
			}
		}
	}
}

func TestExponentialHasItsMoments(t *testing.T) {
	const n = 200000
	s, sum, squares := newSource(1, "test"), 0.0, 0.0
	for i := range uint64(n) {
		x := float64(exponential(logTable(), s.draw(i))) / one
		sum += x
		squares += x * x
	}
	// five standard errors: 1/sqrt(n) of the mean, sqrt(20/n) of the second moment
	if mean := sum / n; math.Abs(mean-1) > 5/math.Sqrt(n) {
		t.Errorf("mean %.4f, want 1", mean)
	}
	if second := squares / n; math.Abs(second-2) > 5*math.Sqrt(20.0/n) {
		t.Errorf("mean of squares %.4f, want 2", second)
	}
}

func TestExponentialAtItsEnds(t *testing.T) {
	if got := exponential(logTable(), math.MaxUint64); got != 0 {
		t.Errorf("of u = 1 %d, want 0", got)
	}
	if got := float64(exponential(logTable(), 0)) / one; math.Abs(got-64*math.Ln2) > 1e-6 {
		t.Errorf("of the least u %v, want 64 ln 2", got)
	}
}

func TestPopularityFollowsZipf(t *testing.T) {
	for _, exponent := range []float64{0.8, 1, 1.5} {
		const count, n = 1000, 300000
		p := newPopularity(count, exponent)
		seen, s := make([]float64, count), newSource(2, "test")
		for i := range uint64(n) {
			seen[p.client(s.draw(i))]++
		}
		norm := 0.0
		for k := range count {
			norm += math.Pow(float64(k+1), -exponent)
		}
		for _, k := range []int{0, 1, 2, 9, 99, 999} {
			due := n * math.Pow(float64(k+1), -exponent) / norm
			if math.Abs(seen[k]-due) > 5*math.Sqrt(due)+1 {
				t.Errorf("exponent %v: client %d came %v times, due %.1f", exponent, k, seen[k], due)
			}
		}
	}
}

// The slots of the alias table add up to each client's weight.
func TestPopularityIsExact(t *testing.T) {
	for _, count := range []int{1, 2, 3, 100} {
		p := newPopularity(count, 1)
		got, norm := make([]float64, count), 0.0
		for slot := range count {
			keep := float64(p.keep[slot]) / (1 << 64)
			got[slot] += keep / float64(count)
			got[p.alias[slot]] += (1 - keep) / float64(count)
			norm += 1 / float64(slot+1)
		}
		for k, share := range got {
			if want := 1 / float64(k+1) / norm; math.Abs(share-want) > 1e-7 {
				t.Errorf("%d clients: share of client %d is %v, want %v", count, k, share, want)
			}
		}
	}
}

func TestDrawsDependOnSeedStreamAndIndexAlone(t *testing.T) {
	a := newSource(1, "clients browse")
	b := newSource(1, "clients browse")
	if b.draw(6) == a.draw(5) || b.draw(5) != a.draw(5) {
		t.Error("equal sources differ")
	}
	for _, b := range []source{newSource(2, "clients browse"), newSource(1, "ports browse")} {
		if a.draw(0) == b.draw(0) || a.draw(7) == b.draw(7) {
			t.Error("different sources agree")
		}
	}
}

// These values hold on every architecture; a change of them changes every result.
func TestGoldenDraws(t *testing.T) {
	s := newSource(42, "arrivals browse")
	got := fmt.Sprintf("%x %x %x", s.draw(0), exponential(logTable(), s.draw(0)), zipfWeight(12345, 1<<32+1<<31))
	if want := "689eebe8cf8449af 1ca27d6592a9535 61da50e6862"; got != want {
		t.Errorf("draws %s, want %s", got, want)
	}
}

func TestConstantArrivalsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Uint64Range(1, 2_000_000).Draw(t, "rate")
		a := newArrivals(&spec.Traffic{Rate: float64(rate), Arrivals: spec.ArrivalsConstant}, 0)
		for n := range uint64(500) {
			if want := int64(n * 1e9 / rate); a.next != want || a.index != n {
				t.Fatalf("rate %d: connection %d (%d) at %d ns, want %d", rate, n, a.index, a.next, want)
			}
			a.step()
		}
	})
	slow := newArrivals(&spec.Traffic{Rate: 0.4, Arrivals: spec.ArrivalsConstant}, 0)
	slow.step()
	if slow.next != 2_500_000_000 {
		t.Errorf("at 0.4 a second the second connection is at %d ns", slow.next)
	}
}

func TestPoissonArrivalsKeepTheirRate(t *testing.T) {
	for _, rate := range []float64{1e-6, 0.5, 333, 1e6, 7e8} {
		a := newArrivals(&spec.Traffic{Name: "t", Rate: rate, Arrivals: spec.ArrivalsPoisson}, 9)
		const n = 40000
		last := int64(0)
		for range n {
			if a.next < last {
				t.Fatalf("rate %v: time runs back", rate)
			}
			last = a.next
			if rate == 1e-6 && a.index == 100 { // 63 bits of nanoseconds end at 292 years
				break
			}
			a.step()
		}
		want := float64(a.index) / rate * 1e9
		if math.Abs(float64(a.next)-want) > 5*want/math.Sqrt(float64(a.index)) {
			t.Errorf("rate %v: connection %d at %.4g ns, want about %.4g", rate, a.index, float64(a.next), want)
		}
	}
}

func TestClientAddresses(t *testing.T) {
	cases := []struct {
		network string
		client  uint64
		want    string
	}{
		{"203.0.113.0/24", 0, "203.0.113.1"},
		{"203.0.113.77/24", 253, "203.0.113.254"},
		{"203.0.113.0/24", 254, "203.0.113.1"},
		{"10.0.0.0/8", 65535, "10.1.0.0"},
		{"10.0.0.4/31", 3, "10.0.0.5"},
		{"10.0.0.4/32", 3, "10.0.0.4"},
		{"2001:db8::/64", 258, "2001:db8::102"},
		{"2001:db8::8/127", 3, "2001:db8::9"},
	}
	for _, c := range cases {
		k := newClients(&spec.Traffic{Clients: spec.Clients{Count: 1, Network: netip.MustParsePrefix(c.network)}}, nil, 0)
		if got := k.address(c.client); got != netip.MustParseAddr(c.want) {
			t.Errorf("client %d of %s is %s, want %s", c.client, c.network, got, c.want)
		}
	}
}
