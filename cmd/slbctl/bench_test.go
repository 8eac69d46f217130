package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"slbctl/testdata"
)

// The budgets of a plan and an apply, on the real binary. A benchmark holds them, because a
// test that measures time fails on a busy machine.
const (
	quickstartWall = 50 * time.Millisecond
	plan1000CPU    = 80 * time.Millisecond
	plan5000CPU    = 300 * time.Millisecond
	plan50000CPU   = 3 * time.Second
	planGrowth     = 6        // of the CPU time of a plan, from 1,000 to 5,000 resources
	plan5000Peak   = 60 << 20 // bytes
	apply5000Wall  = 500 * time.Millisecond
)

// BenchmarkPlanQuickstart plans the applied quick start: nothing to do.
func BenchmarkPlanQuickstart(b *testing.B) {
	files, err := testdata.Starter("quickstart")
	if err != nil {
		b.Fatal(err)
	}
	dir := benchFolder(b)
	if err := os.CopyFS(dir, files); err != nil {
		b.Fatal(err)
	}
	exe := benchApplied(b, dir)
	if c := measure(b, exe, dir, "plan"); c.wall > quickstartWall {
		b.Errorf("a plan of the quick start takes %v, more than %v", c.wall, quickstartWall)
	}
}

// BenchmarkPlan5000 plans 5,000 instances, of one counted block and of 5,000 written
// ones: all new, and applied with nothing to do. The budget is the same for all four;
// of the written ones HCL's parser alone takes about half of it.
func BenchmarkPlan5000(b *testing.B) {
	const settings = "runtime {\n  network = \"127.99.0.0/16\"\n  port_offset = 8000\n}\n"
	counted := settings + "instance \"web\" {\n  count = 5000\n  zone  = \"b\"\n  page \"/\" { content = \"web ${count.index}\" }\n}\n"
	var blocks strings.Builder
	blocks.WriteString(settings)
	for i := range 5000 {
		fmt.Fprintf(&blocks, "instance \"web%d\" {\n  zone = \"b\"\n  page \"/\" { content = \"web %d\" }\n}\n", i, i)
	}
	for _, c := range []struct{ name, config string }{{"counted", counted}, {"blocks", blocks.String()}} {
		dir := benchFolder(b)
		if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(c.config), 0o644); err != nil {
			b.Fatal(err)
		}
		exe := benchBinary(b)
		hold := func(b *testing.B) { withinBudget(b, measure(b, exe, dir, "plan")) }
		b.Run(c.name+"/new", hold)
		benchApplied(b, dir)
		b.Run(c.name+"/no-op", hold)
		benchRun(b, exe, dir, "destroy", "-auto-approve")
	}
}

// BenchmarkPlanGrowth plans 1,000, 5,000 and 50,000 resources of one block with for_each,
// applied, with nothing to do. They are stopped: so many servers take more descriptors than
// a process may have.
func BenchmarkPlanGrowth(b *testing.B) {
	const config = `runtime {
  network     = "127.96.0.0/16"
  port_offset = 8000
}
instance "web" {
  for_each = jsondecode(file("servers.json"))
  zone     = each.value
  status   = "stopped"
  page "/" { content = "web ${each.key}" }
}
`
	plan := func(n int) (c cost) {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			servers := make([]string, n)
			for i := range servers {
				servers[i] = fmt.Sprintf("%q: %q", fmt.Sprint("w", i), "b")
			}
			dir := benchFolder(b)
			for name, text := range map[string]string{"main.slb.hcl": config, "servers.json": "{" + strings.Join(servers, ",") + "}"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					b.Fatal(err)
				}
			}
			c = measure(b, benchApplied(b, dir), dir, "plan")
		})
		return c
	}
	small, large, huge := plan(1000), plan(5000), plan(50000)
	if small.cpu > plan1000CPU || large.cpu > plan5000CPU || huge.cpu > plan50000CPU {
		b.Errorf("plans take %v, %v and %v of CPU, more than %v, %v or %v", small.cpu, large.cpu, huge.cpu, plan1000CPU, plan5000CPU, plan50000CPU)
	}
	if growth := float64(large.cpu) / float64(small.cpu); growth > planGrowth {
		b.Errorf("five times the resources take %.1f times the CPU, more than %d", growth, planGrowth)
	}
}

// BenchmarkApply5000 applies one changed weight among 5,000 resources, again and again.
func BenchmarkApply5000(b *testing.B) {
	const config = `runtime {
  network     = "127.77.0.0/16"
  port_offset = 8000
}
instance "web" {
  count = 4997
  zone  = "b"
  page "/" { content = "web ${count.index}" }
}
server_group "web" {
  backend { instance = instance.web[0] }
  backend {
    instance = instance.web[1]
    weight   = %d
  }
}
load_balancer "lb" {
  listener "tcp" "80" {
    server_group = server_group.web
  }
}
`
	dir, weight := benchFolder(b), 0
	next := func() {
		weight = weight%100 + 1
		if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), fmt.Appendf(nil, config, weight), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	next()
	exe := benchApplied(b, dir)
	if c := measureAfter(b, next, exe, dir, "apply", "-auto-approve"); c.wall > apply5000Wall {
		b.Errorf("an apply of one change among 5,000 resources takes %v, more than %v", c.wall, apply5000Wall)
	}
}

func withinBudget(b *testing.B, c cost) {
	if c.cpu > plan5000CPU {
		b.Errorf("a plan of 5,000 instances takes %v of CPU, more than %v", c.cpu, plan5000CPU)
	}
	if c.peak > plan5000Peak {
		b.Errorf("a plan of 5,000 instances takes %d MiB, more than %d", c.peak>>20, plan5000Peak>>20)
	}
}

// cost is what one process took, each the median of its runs.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // bytes
}

// measure runs a command b.N times, at least eleven, and reports the medians.
func measure(b *testing.B, exe, dir string, args ...string) cost {
	return measureAfter(b, func() {}, exe, dir, args...)
}

// measureAfter is measure with something done before each run, which is not measured.
func measureAfter(b *testing.B, before func(), exe, dir string, args ...string) cost {
	var walls, cpus, peaks []float64
	for range max(b.N, 11) {
		before()
		began := time.Now()
		state := benchRun(b, exe, dir, args...)
		walls = append(walls, float64(time.Since(began)))
		cpus = append(cpus, float64(state.SystemTime()+state.UserTime()))
		peaks = append(peaks, float64(state.SysUsage().(*syscall.Rusage).Maxrss)*1024)
	}
	c := cost{time.Duration(median(walls)), time.Duration(median(cpus)), int64(median(peaks))}
	b.ReportMetric(float64(c.wall.Microseconds())/1000, "wall-ms")
	b.ReportMetric(float64(c.cpu.Microseconds())/1000, "cpu-ms")
	b.ReportMetric(float64(c.peak)/(1<<20), "peak-MiB")
	b.ReportMetric(0, "ns/op") // says nothing here
	return c
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func benchBinary(b *testing.B) string {
	b.Helper()
	exe, err := builtPlain()
	if err != nil {
		b.Fatal(err)
	}
	return exe
}

func benchFolder(b *testing.B) string {
	b.Setenv("SLBCTL_PORT_OFFSET", "8000")
	return b.TempDir()
}

// benchApplied applies the folder's configuration and releases it at the end.
func benchApplied(b *testing.B, dir string) string {
	exe := benchBinary(b)
	benchRun(b, exe, dir, "apply", "-auto-approve")
	b.Cleanup(func() { benchRun(b, exe, dir, "runtime", "stop") })
	return exe
}

func benchRun(b *testing.B, exe, dir string, args ...string) *os.ProcessState {
	b.Helper()
	cmd := exec.Command(exe, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("slbctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return cmd.ProcessState
}
