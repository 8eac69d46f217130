package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

func reported(t *testing.T) *Result {
	c := shop(spec.SchedulerRR, 100, 100)
	day(c).Faults = []spec.Fault{{Name: "outage", At: 2 * time.Minute, For: time.Minute, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	day(c).Expects = []spec.Expect{
		{Name: "even", Metric: spec.MetricShare, Of: "instance.s0", Min: limit(.499), Max: limit(.501), During: "steady"},
		{Name: "nobody-notices", Metric: spec.MetricErrors, Max: limit(0), During: "all"},
		{Name: "too-much", Metric: spec.MetricShare, Of: "instance.s0", Max: limit(.9), During: "outage"},
	}
	return run1(t, c, Options{})
}

func TestWriteText(t *testing.T) {
	var b bytes.Buffer
	if err := WriteText(&b, []*Result{reported(t)}, false); err != nil {
		t.Fatal(err)
	}
	const want = `simulation "day"  5m0s, seed 42
  to load_balancer.lb.listener["tcp:80"], rr
  browse: 500 connections/s, constant, from 20000 clients of 203.0.113.0/24

  window         connections    share  errors
  all                 150000                0
    instance.s0        91500   61.00%
    instance.s1        58500   39.00%
  steady              117000                0
    instance.s0        58500   50.00%
    instance.s1        58500   50.00%
  outage               33000                0
    instance.s0        33000  100.00%
    instance.s1            0    0.00%

  ok    even            wanted 49.9% to 50.1%: 50%, 58500 of 117000 connections in steady
  ok    nobody-notices  wanted at most 0: 0 of 150000 connections in all
  FAIL  too-much        wanted at most 90%: 100%, 33000 of 33000 connections in outage
`
	if b.String() != want {
		t.Errorf("report\n%s\nwant\n%s", b.String(), want)
	}
}

func TestWriteTextColor(t *testing.T) {
	r := reported(t)
	var plain, colored bytes.Buffer
	if err := WriteText(&plain, []*Result{r, r}, false); err != nil {
		t.Fatal(err)
	}
	if err := WriteText(&colored, []*Result{r, r}, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(colored.String(), "\x1b[31mFAIL\x1b[0m") {
		t.Errorf("colour is where it was not asked for, or not where it was:\n%s", colored.String())
	}
}

func TestWriteJSON(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, []*Result{reported(t)}); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&b)
	checkSorted(t, d, "")
	b.Reset()
	if err := WriteJSON(&b, nil); err != nil || b.String() != "{\n  \"format_version\": \"1.0\",\n  \"simulations\": []\n}\n" {
		t.Errorf("no result: %q (%v)", b.String(), err)
	}
}

// checkSorted reads one value and fails where an object's keys are not in order.
func checkSorted(t *testing.T, d *json.Decoder, path string) {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch token {
	case json.Delim('{'):
		var keys []string
		for d.More() {
			key, _ := d.Token()
			keys = append(keys, key.(string))
			checkSorted(t, d, path+"."+key.(string))
		}
		if !slices.IsSorted(keys) || len(keys) == 0 {
			t.Errorf("keys of %s are %v, want them sorted", path, keys)
		}
		_, _ = d.Token()
	case json.Delim('['):
		for d.More() {
			checkSorted(t, d, path+"[]")
		}
		_, _ = d.Token()
	}
}
