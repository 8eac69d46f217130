package sim

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/sim/trace"
	"slbctl/spec"
)

// cpu is the processor time that the process used so far: wall time on a shared
// machine measures its neighbours.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRun tells CPU ns per connection of 16 servers with probes and a fault.
func BenchmarkRun(b *testing.B) {
	for _, k := range []struct {
		scheduler string
		servers   int
	}{{spec.SchedulerRR, 16}, {spec.SchedulerWRR, 16}, {spec.SchedulerSCH, 16}, {spec.SchedulerTCH, 16}, {spec.SchedulerWLC, 256}, {spec.SchedulerP2C, 256}} {
		for _, arrivals := range []string{spec.ArrivalsConstant, spec.ArrivalsPoisson} {
			b.Run(fmt.Sprint(k.scheduler, "/", k.servers, "/", arrivals), func(b *testing.B) {
				weights := make([]int, k.servers)
				for i := range weights {
					weights[i] = 50 + i%51
				}
				c := shop(k.scheduler, weights...)
				day(c).Traffic[0].Arrivals = arrivals
				day(c).Traffic[0].Rate = 10000
				day(c).Duration = 100 * time.Second
				day(c).Faults = []spec.Fault{{Name: "dead", At: 50 * time.Second, For: 10 * time.Second, Targets: []string{"instance.s3"}, Mode: spec.FaultRefuse}}
				b.ReportAllocs()
				var connections int64
				began := cpu()
				for b.Loop() {
					r, err := Run(c, "day", Options{})
					if err != nil {
						b.Fatal(err)
					}
					connections += r.Requests
				}
				b.ReportMetric(float64(cpu()-began)/float64(connections), "cpu-ns/connection")
			})
		}
	}
}

// BenchmarkService tells CPU ns per connection to servers that take time and are busy for nine
// tenths of it, latency and utilisation included.
func BenchmarkService(b *testing.B) {
	for _, k := range []struct {
		scheduler  string
		servers    int
		discipline string
	}{
		{spec.SchedulerRR, 1, ""}, {spec.SchedulerRR, 16, ""}, {spec.SchedulerSCH, 16, ""}, {spec.SchedulerWLC, 256, ""}, {spec.SchedulerP2C, 256, ""},
		{spec.SchedulerRR, 1, spec.DisciplinePS}, {spec.SchedulerRR, 16, spec.DisciplinePS}, {spec.SchedulerWLC, 256, spec.DisciplinePS},
	} {
		b.Run(fmt.Sprint(k.scheduler, "/", k.servers, k.discipline), func(b *testing.B) {
			c := queueing(k.scheduler, k.servers, 1, 0.9, spec.ServiceExponential)
			day(c).Service.Discipline = k.discipline
			day(c).Duration = time.Duration(2e6 / day(c).Traffic[0].Rate * 1e9)
			var connections int64
			b.ReportAllocs()
			began := cpu()
			for b.Loop() {
				connections += runOf(b, c).requests
			}
			b.ReportMetric(float64(cpu()-began)/float64(connections), "cpu-ns/connection")
		})
	}
}

func runOf(b *testing.B, c *spec.Config) *run {
	r, err := newRun(c, day(c), Options{})
	if err != nil {
		b.Fatal(err)
	}
	r.play()
	return r
}

// BenchmarkWeb tells CPU ns per request of a million clients with sticky cookies, through
// a listener of HTTP with 40 rules before 16 servers each.
func BenchmarkWeb(b *testing.B) {
	for _, session := range []spec.Session{{Cookies: true}, {Cookies: true, Requests: 8, Connections: 1}, {}} {
		for _, limited := range []bool{false, true} {
			b.Run(fmt.Sprintf("session=%d/cookies=%v/limited=%v", session.Requests, session.Cookies, limited), func(b *testing.B) {
				c := crowd(session, limited)
				var requests int64
				var used time.Duration
				b.ReportAllocs()
				for b.Loop() {
					r, err := newRun(c, day(c), Options{})
					if err != nil {
						b.Fatal(err)
					}
					began := cpu()
					r.play()
					used += cpu() - began
					requests += r.requests
				}
				b.ReportMetric(float64(used)/float64(requests), "cpu-ns/request")
			})
		}
	}
}

// crowd is ten seconds of 200,000 requests a second by a million clients.
func crowd(session spec.Session, limited bool) *spec.Config {
	c := web(spec.SchedulerWRR, slices.Repeat([]int{100, 50}, 8)...)
	webListener(c).StickySession = insertCookie(time.Hour)
	t := &day(c).Traffic[0]
	all := make([]int, 16)
	for i := range all {
		all[i] = i
	}
	for n := range 40 {
		addRule(c, fmt.Sprint("r", n), fmt.Sprintf("www.abc.com/%d/", n), all...)
		t.Mix = append(t.Mix, mixOf(fmt.Sprintf("1 www.abc.com/%d/x", n))...)
	}
	day(c).Duration = 10 * time.Second
	t.Rate, t.Clients.Count, t.Session = 200_000, 1_000_000, session
	if limited {
		c.LoadBalancers[0].Spec = "slb.s3.xxlarge"
		c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.a"}, Entries: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")}}}
		webListener(c).ACL, webListener(c).ACLType = "acl.a", spec.ACLWhite
	}
	return c
}

// A run allocates for its tables and windows, never for a connection.
func TestConnectionsAllocateNothing(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWLC, spec.SchedulerTCH, "web"} {
		allocations := func(rate float64) float64 {
			c := shop(scheduler, 100, 100, 50)
			if scheduler == "web" {
				c = crowd(spec.Session{Cookies: true, Requests: 8, Connections: 2}, false)
				day(c).Traffic[0].Clients.Count, day(c).Duration = 1000, 5*time.Minute
				webListener(c).MaxQPS = 150
			}
			day(c).Traffic[0].Rate = rate
			day(c).Faults = []spec.Fault{{Name: "dead", At: time.Minute, For: time.Minute, Zone: "b", Mode: spec.FaultRefuse}}
			return testing.AllocsPerRun(2, func() {
				if _, err := Run(c, "day", Options{}); err != nil {
					t.Fatal(err)
				}
			})
		}
		if few, many := allocations(10), allocations(200); many > few+500 { // of 57,000 more: what else runs in the process allocates, too
			t.Errorf("%s: %v allocations for 3,000 connections, %v for 60,000", scheduler, few, many)
		}
	}
}

// BenchmarkRunTrace tells CPU ns per connection that a trace of a million says, of 20,000 clients.
func BenchmarkRunTrace(b *testing.B) {
	path := filepath.Join(b.TempDir(), "day.trace")
	to, err := trace.NewRecorder(path)
	if err != nil {
		b.Fatal(err)
	}
	const requests = 1_000_000
	for i := range uint64(requests) {
		random := source(1).draw(i)
		client := below(random, 20000)
		to.Add(trace.Record{
			At: time.Duration(i*97_000 + random%50_000), Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(client >> 8), byte(client)}), 1024+uint16(random>>17)%60000),
			Method: "GET", Host: "www.abc.com", Path: fmt.Sprint("/item/", random>>40%2000), Server: fmt.Sprint("10.0.0.", random>>50%16), Status: 200,
		})
	}
	if err := to.Close(); err != nil {
		b.Fatal(err)
	}
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerSCH, spec.SchedulerTCH} {
		b.Run(scheduler, func(b *testing.B) {
			c := replaying(shop(scheduler, slices.Repeat([]int{100, 50}, 8)...), path)
			b.ReportAllocs()
			began := cpu()
			for b.Loop() {
				if r := runOf(b, c); r.requests != requests || r.finished() != nil {
					b.Fatal(r.requests, r.finished())
				}
			}
			b.ReportMetric(float64(cpu()-began)/float64(b.N*requests), "cpu-ns/connection")
		})
	}
}

// BenchmarkRunFloor tells CPU ns for what no connection of a Poisson stream can do without: when it comes, from where,
// and whose it is. BenchmarkRun has the making of tables, an accident and the counts as well.
func BenchmarkRunFloor(b *testing.B) {
	for _, scheduler := range []string{spec.SchedulerSCH, spec.SchedulerTCH} {
		b.Run(scheduler, func(b *testing.B) {
			c := shop(scheduler, slices.Repeat([]int{100, 50}, 8)...)
			day(c).Traffic[0].Arrivals = spec.ArrivalsPoisson
			r, err := newRun(c, day(c), Options{})
			if err != nil {
				b.Fatal(err)
			}
			r.rebuild()
			r.openStretch()
			r.advance(0) // the first probes
			a, p := r.arrivals[0], &r.pools[0]
			connections := 0
			began := cpu()
			for b.Loop() {
				first := a.index
				n := a.pass(a, math.MaxInt64, blockSize)
				r.clients[0].sources(first, r.block.sources[:n])
				connections += p.table.PickInTurn(p.state, r.coming.client.Destination, r.block.sources[:n], r.block.picked[:n])
			}
			b.ReportMetric(float64(cpu()-began)/float64(connections), "cpu-ns/connection")
		})
	}
}
