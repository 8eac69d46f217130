package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestTwoAtOnce has two commands change a folder in the same moment, while clients send
// requests. One waits for the other or says who is there; neither reads what the other is
// about to write, and the history has each change once.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	net := network(t)
	f := newFolder(t, builtFailpoints, "")
	config := strings.Replace(fmt.Sprintf(crashConfig, net, 4711), "= 4711", "= var.weight", 1) + "variable \"weight\" { default = 100 }\noutput \"weight\" { value = var.weight }\n" +
		"instance \"spare\" {}\n" // clients do not notice when an apply makes it anew under the name that it has lost
	f.write(config)
	f.must("apply", "-auto-approve", "-var=weight=1")
	f.must("apply", "-auto-approve", "-var=weight=2")
	clients := f.startClients()
	s := newSweep(t)
	const waiting = "-lock-timeout=60s"
	weight := 2
	for round := range 20 {
		pairs := []struct {
			name  string
			other []string
			wait  string
		}{
			{"apply, apply", nil, ""},
			{"apply, apply, both wait", nil, waiting},
			{"apply, rollback", []string{"rollback", "-auto-approve"}, ""},
			{"apply, plan -out", []string{"plan", "-out=next.plan"}, ""},
			{"apply, drain", []string{"drain", "instance.web[0]"}, ""},
			{"apply, state mv", []string{"state", "mv", "instance.spare", fmt.Sprintf("instance.spare%d", round)}, ""},
			{"apply, runtime start", []string{"runtime", "start"}, ""},
		}
		for _, p := range pairs {
			if s.skips(20) {
				continue
			}
			weight = weight%98 + 2
			one := []string{"apply", "-auto-approve", fmt.Sprint("-var=weight=", weight)}
			other := p.other
			if other == nil {
				other = []string{"apply", "-auto-approve", fmt.Sprint("-var=weight=", weight-1)}
			}
			if p.wait != "" {
				one, other = append(one, p.wait), append(other, p.wait)
			}
			before := f.highest()
			var group sync.WaitGroup
			var outs [2]string
			var codes [2]int
			for i, args := range [][]string{one, other} {
				group.Go(func() { outs[i], codes[i] = f.run(nil, args...) })
			}
			group.Wait()
			end := endedAfter
			for i := range codes {
				locked := codes[i] == 5 && strings.Contains(outs[i], "State is locked")
				if codes[i] != 0 && !(locked && p.wait == "") {
					end = endedBadly
					t.Errorf("%s: exit %v\n%s", p.name, codes, outs[i])
				}
			}
			if codes[0] == 5 && codes[1] == 5 {
				t.Errorf("%s: neither has happened\n%s", p.name, outs[0])
			}
			f.agrees(p.name)
			if p.name == "apply, apply" || p.wait != "" {
				if got := f.must("output", "-raw", "weight"); got != fmt.Sprint(weight) && got != fmt.Sprint(weight-1) {
					end = endedBadly
					t.Errorf("%s: the weight is %s", p.name, got)
				}
			}
			if grown := f.highest() - before; grown > 2 || grown < 1 && codes[0] == 0 || f.journals() {
				end = endedBadly
				t.Errorf("%s: %d serials more, and a journal: %t", p.name, grown, f.journals())
			}
			s.ended(p.name, end)
			f.run(nil, "undrain", "instance.web[0]") // where it was drained
			f.run(nil, "state", "mv", fmt.Sprintf("instance.spare%d", round), "instance.spare")
			f.must("apply", "-auto-approve", fmt.Sprint("-var=weight=", weight))
		}
	}
	clients.end()
	t.Logf("%d requests meanwhile", clients.count.Load())
}

// highest is the highest serial of the history.
func (f *folder) highest() (highest int) {
	f.t.Helper()
	var history struct{ History []struct{ Serial int } }
	f.document(&history, "state", "history", "-json")
	for _, s := range history.History {
		highest = max(highest, s.Serial)
	}
	return highest
}

func (f *folder) journals() bool {
	_, err := os.Stat(filepath.Join(f.dir, "slbctl.state.journal"))
	return err == nil
}

// TestTornJournal cuts the journal that a killed command has left at every length, as a disk
// may that loses power. What was announced and is not whole has not happened; what the
// runtime has is recorded, whatever is left of the note that says so.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	net := network(t)
	f := newFolder(t, builtFailpoints, fmt.Sprintf(crashConfig, net, 100))
	f.must("apply", "-auto-approve")
	s := newSweep(t)
	before, state := f.recorded(), f.file("slbctl.state.json")
	f.write(fmt.Sprintf(crashConfig, net, 50))

	cut := func(name, journal string, from, step int, want string, end finish) {
		t.Helper()
		for n := from; n <= len(journal); n += step {
			f.put("slbctl.state.json", state)
			f.put("slbctl.state.journal", journal[:n])
			if got := f.recorded(); got != want {
				t.Errorf("%s, cut to %d of %d bytes:\n%s\nwant\n%s", name, n, len(journal), got, want)
				end = endedBadly
			}
			if out, code := f.run(nil, "plan"); code != 0 || f.journals() {
				t.Errorf("%s, cut to %d of %d bytes: plan: exit %d\n%s", name, n, len(journal), code, out)
				end = endedBadly
			}
			if got := f.recorded(); got != want {
				t.Errorf("%s, cut to %d of %d bytes, after the recovery:\n%s", name, n, len(journal), got)
				end = endedBadly
			}
			s.ended(name, end)
		}
	}
	if out, code := f.run([]string{"SLBCTL_FAILPOINT=apply-begun"}, "apply", "-auto-approve"); code != -1 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	begun := f.file("slbctl.state.journal")
	every := 997
	if *long {
		every = 7
	}
	cut("announced", begun, 0, every, before, endedBefore)
	f.put("slbctl.state.json", state)

	// The runtime has it, and the note that it has is under way.
	whole := ""
	for n := 5; n < 20; n++ {
		f.put("slbctl.state.json", state)
		out, code := f.run([]string{fmt.Sprint("SLBCTL_FAILPOINT=fs:", n)}, "apply", "-auto-approve")
		if journal := f.file("slbctl.state.journal"); code == -1 && strings.Contains(journal, `"op":"commit"`) {
			whole = journal
			break
		}
		if code == 0 {
			t.Fatalf("it was never killed behind the commit record\n%s", out)
		}
		if out, code := f.run(nil, "plan"); code != 0 {
			t.Fatalf("exit %d\n%s", code, out)
		}
		f.write(fmt.Sprintf(crashConfig, net, 100))
		f.must("apply", "-auto-approve")
		state = f.file("slbctl.state.json")
		f.write(fmt.Sprintf(crashConfig, net, 50))
	}
	if whole == "" {
		t.Fatal("there is no commit record")
	}
	f.put("slbctl.state.json", state)
	f.put("slbctl.state.journal", whole)
	after := f.recorded()
	if after == before || after == "" {
		t.Fatalf("afterwards it is as before: %s", after)
	}
	cut("committed", whole, strings.Index(whole, "\n")+1, every/40+1, after, endedAfter)
	f.put("slbctl.state.json", state)
	f.put("slbctl.state.journal", whole)
	f.converges("a torn journal")
}
