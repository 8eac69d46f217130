package planner_test

import (
	"bytes"
	"fmt"
	"testing"

	"slbctl/planner"
	"slbctl/spec"
)

// large is n instances behind one balancer.
func large(n int) []spec.Resource {
	rs := []spec.Resource{listener("SLB1", "80", nil)}
	var members []any
	for i := range n {
		name := fmt.Sprintf("web[%d]", i)
		rs = append(rs, instance(name, attrs{"address": fmt.Sprintf("127.10.%d.%d", 1+i/250, 1+i%250)}))
		members = append(members, backend(name))
	}
	return append(rs, balancer("SLB1", attrs{"backend": members}))
}

func benchmarkPlan(b *testing.B, n int, recorded bool) {
	w := newWorld()
	c := config(b, large(n))
	if recorded {
		w.apply(b, w.input(b, c))
	}
	in := w.input(b, c)
	b.ReportAllocs()
	for b.Loop() {
		p := mustMake(b, in)
		if p.HasChanges() == recorded {
			b.Fatal("not the plan that is measured")
		}
	}
}

func BenchmarkPlanNoop1000(b *testing.B) { benchmarkPlan(b, 1000, true) }
func BenchmarkPlanNoop5000(b *testing.B) { benchmarkPlan(b, 5000, true) }
func BenchmarkPlanNew1000(b *testing.B)  { benchmarkPlan(b, 1000, false) }
func BenchmarkPlanNew5000(b *testing.B)  { benchmarkPlan(b, 5000, false) }

func BenchmarkPlanText5000(b *testing.B) {
	w := newWorld()
	p := mustMake(b, w.input(b, config(b, large(5000))))
	for b.Loop() {
		var text bytes.Buffer
		if err := p.WriteText(&text, planner.Style{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlanDestroy5000(b *testing.B) {
	w := holding(b, large(5000))
	in := w.input(b, nil)
	in.Destroy, in.Targets = true, []string{"instance.web", "load_balancer.SLB1"}
	for b.Loop() {
		mustMake(b, in)
	}
}

func BenchmarkRecover5000(b *testing.B) {
	w := holding(b, large(5000))
	for b.Loop() {
		w.recorded(b)
	}
}
