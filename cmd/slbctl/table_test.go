package main

import (
	"strings"
	"testing"
)

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	writeTable(&b, " ", [][]cell{
		plain("server", "é", "reason"),
		{{text: "a"}, {"normal", "32"}, {}},
		plain("longer.name", "x"),
	})
	want := " server       é       reason\n" +
		" a            \x1b[32mnormal\x1b[0m\n" +
		" longer.name  x\n"
	if b.String() != want {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"instance.ECS01", "instance.ECS02", "load_balancer.SLB1"}
	for name, want := range map[string]string{
		"instance.ecs01":   ": did you mean instance.ECS01?",
		"load_balancr.SLB": ": did you mean load_balancer.SLB1?",
		"x":                ": there is instance.ECS01, instance.ECS02, load_balancer.SLB1",
	} {
		if got := didYouMean(name, known); got != want {
			t.Errorf("%s%s, want %s", name, got, want)
		}
	}
	if got := didYouMean("x", nil); got != ": there are none" {
		t.Error(got)
	}
}
