package htmlreport

import (
	"math"
	"slices"
	"strings"
	"testing"

	"slbctl/sim"
)

func TestTimeTicks(t *testing.T) {
	for _, tt := range []struct {
		seconds float64
		want    string
	}{
		{600, "0 2m 4m 6m 8m 10m"}, {60, "0 10s 20s 30s 40s 50s 1m"}, {90, "0 15s 30s 45s 1m 1m15s 1m30s"}, {1, "0 200ms 400ms 600ms 800ms 1s"},
		{86400, "0 6h 12h 18h 24h"}, {10 * 86400, "0 48h 96h 144h 192h 240h"}, {.01, "0 2ms 4ms 6ms 8ms 10ms"},
	} {
		var got []string
		for _, tick := range timeTicks(tt.seconds) {
			got = append(got, tick.Text)
			if tick.At < 0 || tick.At > 100.01 {
				t.Errorf("%v s: %+v lies outside", tt.seconds, tick)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v s: %s, want %s", tt.seconds, got, tt.want)
		}
	}
}

func TestScales(t *testing.T) {
	texts := func(s scale) (out string) {
		for _, tick := range s.ticks(sim.Brief) {
			out += tick.Text + "@" + tick.At.String() + " "
		}
		return strings.TrimSpace(out)
	}
	if got := texts(logarithmic(.0012, .9)); got != "1ms@100 10ms@66.67 100ms@33.33 1s@0" {
		t.Error(got)
	}
	if got := texts(logarithmic(.02, .05)); got != "20ms@100 50ms@0" {
		t.Error(got)
	}
	if got := texts(logarithmic(.001, .001)); got != "1ms@100 2ms@69.9 5ms@30.1 10ms@0" {
		t.Error(got)
	}
	if s := fromZero(37); s.high != 50 || s.y(50) != 0 || s.y(0) != 100 || s.y(25) != 50 {
		t.Errorf("%+v", s)
	}
	for _, v := range []float64{1, 2, 5, 10, .001, 1e-9, 1000} {
		if up, down := roundUp(v), roundDown(v); math.Abs(up/v-1) > 1e-9 || math.Abs(down/v-1) > 1e-9 {
			t.Errorf("%v is rounded to %v and %v", v, up, down)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(1234567): "1,234,567", number(-1234): "-1,234", number(-999): "-999",
		percent(0): "0%", percent(1): "100%", percent(.3333): "33.3%", percent(1e-6): "<0.1%", percent(.99999): ">99.9%",
		sim.Brief(.0123456): "12.3ms", sim.Brief(0): "0s", later(-.0115343): "-11.5ms", later(.002): "+2ms",
		clock(0): "0", clock(120): "2m", clock(3600): "1h", clock(90): "1m30s", clock(7200): "2h", clock(5400): "1h30m", clock(.25): "250ms",
		points(.25): "+25.0 points", points(-.001): "-0.1 points", signed(12): "+12", signed(-1200): "-1,200",
		plural(1, "error"): "1 error", plural(0, "error"): "0 errors",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// farm is a window of n servers, of which the last ones have served the most, and nothing else.
func farm(n int) *sim.Window {
	w := &sim.Window{}
	for k := range n {
		w.Backends = append(w.Backends, sim.Backend{Address: string(rune('a' + k)), Requests: int64(k)})
		w.Requests += int64(k)
	}
	for k := range w.Backends {
		w.Backends[k].Share = float64(k) / float64(max(w.Requests, 1))
	}
	return w
}

// even is a farm whose servers have served equally much.
func even(n int) *sim.Window {
	w := farm(n)
	for k := range w.Backends {
		w.Backends[k].Share = 1 / float64(n)
	}
	return w
}

// In a large farm the servers whose shares change have colours of their own, and the rest counts
// together.
func TestSeries(t *testing.T) {
	names := func(n int) (out []string) {
		for _, s := range seriesOf([]*sim.Window{even(n), farm(n)}) {
			out = append(out, s.Class+" "+s.Name)
		}
		return out
	}
	if got := names(2); !slices.Equal(got, []string{"c0 a", "c1 b"}) {
		t.Error(got)
	}
	if got := names(colours); len(got) != colours || got[colours-1] != "c6 g" {
		t.Error(got)
	}
	if got := names(10); !slices.Equal(got, []string{"c0 a", "c1 b", "c2 c", "c3 h", "c4 i", "c5 j", "others 4 other servers"}) {
		t.Error(got)
	}
	w, sum := farm(26), int64(0)
	for _, s := range seriesOf([]*sim.Window{w}) {
		sum += s.served(w)
	}
	if sum != w.Requests {
		t.Errorf("the series have %d of %d", sum, w.Requests)
	}
}

// A step is drawn as one, and what was not served leaves a gap.
func TestArea(t *testing.T) {
	window := func(a, b int64) sim.Window {
		return sim.Window{Requests: a + b, Backends: []sim.Backend{{Address: "a", Requests: a}, {Address: "b", Requests: b}}}
	}
	steps := []sim.Window{window(1, 1), window(1, 3), window(0, 0), window(2, 0)}
	all := window(4, 4)
	c := &course{Result: &sim.Result{VirtualSeconds: 4, Windows: []sim.Window{all}, Timeline: &sim.Timeline{Step: 1, Steps: steps}}, series: seriesOf([]*sim.Window{&all})}
	shapes := c.shares().Shapes
	if want := "M0 50H250V75H500V100H0ZM750 0H1000V100H750Z"; shapes[0].D != want {
		t.Errorf("a is %s, want %s", shapes[0].D, want)
	}
	if want := "M0 0H500V75H250V50H0Z"; shapes[1].D != want {
		t.Errorf("b is %s, want %s", shapes[1].D, want)
	}
}

// Names that would be in one another's way stand one above the other.
func TestLanes(t *testing.T) {
	c := &course{Result: &sim.Result{VirtualSeconds: 100, Timeline: &sim.Timeline{Warmup: 1, Marks: []sim.Mark{
		{Name: "first", From: 2, Over: 3, Until: 4}, {Name: "second", From: 40, Over: 50, Until: 60}, {Name: "third", From: 95, Over: 100, Until: 100},
	}}}}
	lanes := c.lanes()
	if len(lanes) != 2 || len(lanes[0]) != 3 || len(lanes[1]) != 1 || lanes[1][0].Text != "first" {
		t.Errorf("%+v", lanes)
	}
	if third := lanes[0][2]; !third.Late || third.Aftermath != 0 || lanes[1][0].Aftermath != 50 {
		t.Errorf("%+v", lanes)
	}
}

func TestDifference(t *testing.T) {
	a, b := farm(3), farm(3)
	b.Errors, b.Requests = 2, 1
	got := beside("c", "", []column{{Label: "a", Window: a}, {Label: "b", Window: b}}, "request", seriesOf([]*sim.Window{a}))
	if r := got.Rows[0]; r.Head != "requests" || r.Cells[2].Text != "-2" {
		t.Errorf("%+v", r)
	}
	if r := got.Rows[1]; r.Head != "errors" || r.Cells[1].Text != "2" || r.Cells[2].Text != "+2" {
		t.Errorf("%+v", r)
	}
	if got := beside("c", "", []column{{Label: "a", Window: a}, {Label: "b"}}, "request", nil); got.Rows[0].Cells[1].Text != "–" || got.Rows[0].Cells[2].Text != "" {
		t.Errorf("%+v", got.Rows[0])
	}
	many := beside("c", "", []column{{Window: farm(50)}}, "request", nil)
	if last := many.Rows[len(many.Rows)-1]; last.Head != "and 19 servers that changed less" || len(many.Rows) != 2+1+mostServers {
		t.Errorf("%d rows, the last one is %+v", len(many.Rows), last)
	}
}
