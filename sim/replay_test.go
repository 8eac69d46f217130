package sim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

// replaying is a configuration whose simulation replays a log.
func replaying(c *spec.Config, log string) *spec.Config {
	day(c).Traffic = []spec.Traffic{{Name: "yesterday", Log: log}}
	return c
}

// essence is what a replay must have in common with what it replays.
func essence(p Pick) string {
	return fmt.Sprint(p.At, " ", p.Client.Source.Addr(), " ", p.Host, p.Path, " ", p.Outcome, " ", p.Backend, " ", p.Route)
}

// TestRecordAndReplay: what a simulation has sent is recorded, and the replay of the record
// decides each time as the simulation did: times, addresses, requests, cookies and faults.
func TestRecordAndReplay(t *testing.T) {
	const count = 20 * time.Second
	fault := []spec.Fault{{Name: "dead", At: 5 * time.Second, For: 3 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	cases := map[string]func() *spec.Config{}
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerTCH} {
		cases["tcp "+scheduler] = func() *spec.Config { return shop(scheduler, 3, 1, 2) }
		cases["http "+scheduler] = func() *spec.Config {
			c := web(scheduler, 3, 1, 2)
			addRule(c, "tom", "www.aaa.com/tom", 0, 1)
			addRule(c, "old", "old.aaa.com")
			webListener(c).StickySession = insertCookie(2 * time.Second)
			day(c).Traffic[0].Session = spec.Session{Cookies: true, Requests: 6, Connections: 1}
			day(c).Traffic[0].Mix = mixOf("4 www.aaa.com/tom/1", "1 www.aaa.com/none", "1 old.aaa.com/x", "3 www.bbb.com/?q=1", "1 www.bbb.com/../x")
			day(c).Traffic = append(day(c).Traffic, day(c).Traffic[0])
			day(c).Traffic[1].Name = "more"
			return c
		}
	}
	for name, config := range cases {
		t.Run(name, func(t *testing.T) {
			c := config()
			day(c).Duration, day(c).Faults = count, fault
			path := filepath.Join(t.TempDir(), "day.trace")
			var want, got []string
			r := run1(t, c, Options{Record: path, Observe: func(p Pick) { want = append(want, essence(p)) }})
			c = replaying(config(), path)
			day(c).Duration, day(c).Faults = count, fault
			again := run1(t, c, Options{Observe: func(p Pick) { got = append(got, essence(p)) }})
			if !slices.Equal(got, want) {
				t.Errorf("%d picks of the replay differ from %d recorded ones", len(got), len(want))
				for i := range min(len(got), len(want)) {
					if got[i] != want[i] {
						t.Fatalf("first at %d: %s, recorded %s", i, got[i], want[i])
					}
				}
			}
			if g, w := fmt.Sprintf("%+v", again.Windows), fmt.Sprintf("%+v", r.Windows); g != w {
				t.Errorf("windows %s, want %s", g, w)
			}
			if len(want) < 1000 {
				t.Errorf("only %d requests", len(want))
			}
		})
	}
}

// logLine is a line of the combined format.
func logLine(second int, client, agent, host, path string) string {
	return fmt.Sprintf("%s - - [28/Nov/2026:08:14:%02d +0000] \"GET http://%s%s HTTP/1.1\" 200 1 \"-\" \"%s\"\n", client, second, host, path, agent)
}

func writeLog(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLogClients: two browsers behind one address have a cookie each, and one for each host;
// times begin at 0, whatever the log's are; what comes after the duration is left out.
func TestLogClients(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100, 100, 100)
	webListener(c).StickySession = insertCookie(time.Hour)
	day(c).Duration = 5 * time.Second
	replaying(c, writeLog(t,
		logLine(3, "203.0.113.9", "curl", "a.test", "/1"), logLine(3, "203.0.113.9", "wget", "a.test", "/2"),
		logLine(4, "203.0.113.9", "curl", "a.test", "/3"), logLine(4, "203.0.113.9", "curl", "b.test", "/4"),
		logLine(5, "203.0.113.9", "wget", "a.test", "/5"), logLine(6, "203.0.113.9", "curl", "b.test", "/6"),
		logLine(8, "203.0.113.9", "curl", "a.test", "/late")))
	var got []string
	run1(t, c, Options{Observe: func(p Pick) { got = append(got, fmt.Sprint(p.At.Seconds(), p.Host, p.Path, " ", p.Backend)) }})
	want := []string{
		"0a.test/1 instance.s0", "0a.test/2 instance.s1", "1a.test/3 instance.s0", "1b.test/4 instance.s2",
		"2a.test/5 instance.s1", "3b.test/6 instance.s2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLogBesideTraffic: a log is merged with drawn traffic in the order of time.
func TestLogBesideTraffic(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	day(c).Traffic[0].Rate, day(c).Traffic[0].Arrivals, day(c).Duration = 2, spec.ArrivalsConstant, 3*time.Second
	day(c).Traffic = append(day(c).Traffic, spec.Traffic{Name: "log", Log: writeLog(t,
		logLine(0, "198.51.100.1", "", "a.test", "/"), logLine(1, "198.51.100.1", "", "a.test", "/"), logLine(2, "198.51.100.1", "", "a.test", "/"))})
	var at []time.Duration
	logged := 0
	run1(t, c, Options{Observe: func(p Pick) {
		at = append(at, p.At)
		if p.Client.Source.Addr().String() == "198.51.100.1" {
			logged++
		}
	}})
	if !slices.IsSorted(at) || len(at) != 9 || logged != 3 {
		t.Errorf("%d of the log, in all %v", logged, at)
	}
}

// TestBrokenLogs: a log that cannot be read is an error that names it, and a trace that is
// damaged is told even where it has begun well.
func TestBrokenLogs(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.trace")
	c := shop(spec.SchedulerRR, 100, 100)
	run1(t, c, Options{Record: good})
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	damaged, cut := writeLog(t, string(data)), writeLog(t, string(data[:len(data)-1]))
	for path, want := range map[string]string{
		"nowhere.log":        "nowhere.log: no such file",
		writeLog(t):          "the log is empty",
		writeLog(t, "x\n"):   "line 1: a log in none of the known formats",
		damaged:              "a block whose checksum is wrong: the trace is damaged",
		cut:                  "the trace was cut short",
		filepath.Dir(good):   "a folder, not a log",
		writeLog(t, "\x00"):  `first line is "\x00"`,
		writeLog(t, "slbtr"): "the trace was cut short",
	} {
		_, err := Run(replaying(shop(spec.SchedulerRR, 100, 100), path), "day", Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"day"`) {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	log := writeLog(t, logLine(1, "203.0.113.9", "", "a.test", "/"))
	if _, err := Run(replaying(shop(spec.SchedulerRR, 100, 100), log), "day", Options{Context: ctx}); err == nil {
		t.Error("no error from a log whose reading was ended")
	}
	// A record of a run that fails leaves no file.
	dir := t.TempDir()
	if _, err := Run(replaying(shop(spec.SchedulerRR, 100, 100), damaged), "day", Options{Record: filepath.Join(dir, "out")}); err == nil {
		t.Error("no error from a damaged trace")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
}

func BenchmarkReplay(b *testing.B) {
	for name, c := range map[string]*spec.Config{
		"tcp/rr": shop(spec.SchedulerRR, 1, 1, 1, 1), "tcp/sch": shop(spec.SchedulerSCH, 1, 1, 1, 1), "http/sticky": crowd(spec.Session{Cookies: true}, false),
	} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "day.trace")
			if name != "http/sticky" {
				day(c).Traffic[0].Rate = 1e4
			}
			if _, err := Run(c, "day", Options{Record: path}); err != nil {
				b.Fatal(err)
			}
			replaying(c, path)
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
				if err := r.close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(used)/float64(requests), "cpu-ns/request")
		})
	}
}
