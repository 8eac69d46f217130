package planner_test

import (
	"bytes"
	"testing"
	"time"

	"slbctl/planner"
	"slbctl/spec"
)

// TestTextOfCanary shows the steps of a change, drained servers and moved ones with them.
func TestTextOfCanary(t *testing.T) {
	before := with(quickstart(), listener("SLB1", "81", attrs{"port": 81.0}))
	page := attrs{"page": []any{attrs{"path": "/", "content": "new"}}}
	after := with(before, instance("ECS01", page), instance("ECS03"),
		balancer("SLB1", attrs{"backend": []any{backend("ECS02", attrs{"weight": 20.0}), backend("ECS03", attrs{"weight": 60.0})}}),
		listener("SLB1", "80", attrs{"scheduler": "wrr"}), listener("SLB1", "82", attrs{"port": 82.0}))
	for name, c := range map[string]struct {
		wanted  []spec.Resource
		drained []string
	}{
		"canary":        {wanted: after},
		"canarydrained": {wanted: after, drained: []string{"instance.ECS02"}},
		"canaryatonce":  {wanted: with(before, instance("ECS01", page))},
	} {
		t.Run(name, func(t *testing.T) {
			w := holding(t, before)
			in := w.input(t, config(t, c.wanted))
			in.SkipTraffic, in.Drained = true, c.drained
			p, err := mustMake(t, in).WithCanary([]int{10, 50}, 10*time.Second, in.State, c.drained)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := p.WriteText(&text, planner.Style{}); err != nil {
				t.Fatal(err)
			}
			_, steps, _ := bytes.Cut(text.Bytes(), []byte("Plan: "))
			golden(t, name+".txt", steps)
		})
	}
}
