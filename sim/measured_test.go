package sim

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

// timedLog is a log of n requests, one in ten milliseconds, that took 1, 2, 3 … 10 ms in turn.
func timedLog(t *testing.T, n int) string {
	var lines []string
	for k := range n {
		lines = append(lines, fmt.Sprintf(`{"time":"2026-11-28T08:%02d:%02d.%03dZ","client_ip":"203.0.113.%d","client_port":1024,"host":"a.test","request_method":"GET","request_uri":"/","status":200,"body_bytes_sent":1,"request_time":0.050,"upstream_addr":"127.10.1.0:80","upstream_response_time":0.%03d}`+"\n",
			k/6000, k/100%60, k%100*10, k%200+1, 1+k%10))
	}
	return writeLog(t, lines...)
}

// Drawn from a log, times come as often as the log has them, whatever the traffic.
func TestTimesOfALog(t *testing.T) {
	c := queueing(spec.SchedulerRR, 1, 1000, 0.1, "")
	day(c).Service.Log = timedLog(t, 1000)
	day(c).Traffic[0].Rate, day(c).Duration = 1000, 100*time.Second
	seen := map[time.Duration]int{}
	picks, r := picksOf(t, c)
	for _, p := range picks {
		seen[p.Took.Round(time.Millisecond)]++
		if off := float64(p.Took)/float64(p.Took.Round(time.Millisecond)) - 1; math.Abs(off) > 1.0/256 {
			t.Fatalf("a time of %v", p.Took)
		}
	}
	for ms := time.Millisecond; ms <= 10*time.Millisecond; ms += time.Millisecond {
		if part := float64(seen[ms]) / float64(len(picks)); part < 0.09 || part > 0.11 {
			t.Errorf("%.3f of the times are %v", part, ms)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%v", seen)
	}
	var text strings.Builder
	if err := WriteText(&text, []*Result{r}, false); err != nil || !strings.Contains(text.String(), "each server: times of "+day(c).Service.Log+", 1000 workers") {
		t.Error(text.String(), err)
	}
}

// A replay of the log has each request take the time that it took.
func TestTimesOfTheReplay(t *testing.T) {
	path := timedLog(t, 1000)
	c := replaying(queueing(spec.SchedulerRR, 1, 1000, 0.1, ""), path)
	day(c).Service.Log = path
	picks, _ := picksOf(t, c)
	if len(picks) != 1000 {
		t.Fatalf("%d picks", len(picks))
	}
	for k, p := range picks {
		// The log says when requests ended: in the order of their beginnings they stay in turn.
		if want := time.Duration(1+k%10) * time.Millisecond; p.Took != want {
			t.Fatalf("request %d took %v, in the log %v", k, p.Took, want)
		}
	}
	day(c).Service.Discipline = spec.DisciplinePS
	again, _ := picksOf(t, c)
	for k := range again {
		if again[k].Took != picks[k].Took { // with 1000 workers nobody shares
			t.Fatalf("request %d took %v under sharing", k, again[k].Took)
		}
	}
}

func TestALogWithoutTimes(t *testing.T) {
	c := queueing(spec.SchedulerRR, 1, 1, 0.1, "")
	day(c).Service.Log = writeLog(t, logLine(0, "203.0.113.9", "a", "a.test", "/"))
	if _, err := Run(c, "day", Options{}); err == nil || !strings.Contains(err.Error(), "does not tell how long servers took") {
		t.Error(err)
	}
	day(c).Service.Log = "nowhere.log"
	if _, err := Run(c, "day", Options{}); err == nil || !strings.Contains(err.Error(), "service: open nowhere.log") {
		t.Error(err)
	}
}
