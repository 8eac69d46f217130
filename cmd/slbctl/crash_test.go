package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// recorded is what the state says, but for what counts the changes; "" without one.
func (f *folder) recorded() string {
	f.t.Helper()
	out, code := f.run(nil, "state", "pull")
	if code != 0 {
		if !strings.Contains(out, "no state") {
			f.t.Errorf("state pull: exit %d\n%s", code, out)
		}
		return ""
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		f.t.Errorf("state pull: %v\n%s", err, out)
	}
	for _, name := range []string{"checksum", "serial", "generation", "lineage"} {
		delete(doc, name)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// file is what is in a file of the folder; "" without it.
func (f *folder) file(name string) string {
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	return string(data)
}

func (a *act) look(f *folder) string {
	if a.seen != nil {
		return a.seen(f)
	}
	return f.recorded()
}

// disturbance is one way to disturb an act, at one point of it.
type disturbance struct {
	kind   string
	point  string
	served bool // the daemon lives on
	// run carries out the act, disturbed.
	run func(f *folder, a *act) (out string, code int)
}

// matrix is a folder in which acts are disturbed.
type matrix struct {
	*folder
	sweep         *sweep
	before, after map[string]string // by act
	requests      int64             // that clients have sent meanwhile
}

// try disturbs one act and judges how it ended. It says what the command's exit code was.
func (m *matrix) try(a *act, tr disturbance) (out string, code int) {
	m.t.Helper()
	a.ready(m.folder)
	if m.before[a.name] == "" && m.after[a.name] == "" { // the first time it is left alone, to know what is right
		m.before[a.name] = a.look(m.folder)
		m.must(a.args...)
		if m.after[a.name] = a.look(m.folder); m.after[a.name] == m.before[a.name] {
			m.t.Fatalf("%s changes nothing", a.name)
		}
		a.ready(m.folder)
	}
	if now := a.look(m.folder); now != m.before[a.name] {
		m.t.Fatalf("%s %s %s: it is not ready:\n%s\nwant\n%s", a.name, tr.kind, tr.point, now, m.before[a.name])
	}
	if tr.served && a.steady {
		clients := m.startClients()
		defer func() { clients.end(); m.requests += clients.count.Load() }()
	}
	out, code = tr.run(m.folder, a)
	m.sweep.ended(tr.kind+": "+a.name, m.judge(a, tr, out, code))
	return out, code
}

// judge finds out how a case has ended: nothing may be lost, and nothing left to do by hand.
func (m *matrix) judge(a *act, tr disturbance, out string, code int) finish {
	m.t.Helper()
	end := endedBadly
	bad := func(format string, args ...any) {
		m.t.Errorf("%s, %s at %s (exit %d): %s\n%s", a.name, tr.kind, tr.point, code, fmt.Sprintf(format, args...), out)
		end = endedBadly
	}
	if text, code := m.run(nil, "plan", "-detailed-exitcode"); code != 0 && code != 2 {
		bad("plan: exit %d\n%s", code, text)
		return end
	}
	if m.recorded() != "" {
		m.agrees(a.name + " " + tr.kind + " " + tr.point)
	}
	switch a.look(m.folder) {
	case m.before[a.name]:
		end = endedBefore
	case m.after[a.name]:
		end = endedAfter
	default:
		bad("it is neither as before nor as after:\n%s", a.look(m.folder))
		return end
	}
	switch {
	case code == 0 && end == endedBefore:
		bad("it said that it was done, and it is not")
	case code == 1 && end == endedAfter && !strings.Contains(out, "next command"):
		bad("it failed, and is done")
	}
	if end == endedBefore {
		if text, code := m.run(nil, a.args...); code != 0 {
			bad("once more: exit %d\n%s", code, text)
		} else if a.look(m.folder) != m.after[a.name] {
			bad("once more does something else:\n%s", a.look(m.folder))
		}
	}
	left := m.leftovers()
	for tries := 0; left != nil && tries < 50; tries++ { // verdicts are being written down now and then
		time.Sleep(10 * time.Millisecond)
		left = m.leftovers()
	}
	if left != nil {
		bad("left behind: %s", left)
		for _, name := range left {
			_ = os.Remove(name) // so that it is told once
		}
	}
	return end
}

// leftovers are the files that somebody was about to write.
func (f *folder) leftovers() (names []string) {
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".tmp") || strings.HasSuffix(path, ".journal") || strings.HasSuffix(path, ".new") {
			names = append(names, path)
		}
		return nil // what goes away meanwhile is none
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

// withPoint runs the act with a failpoint in the command. The daemon is there before, because
// one that the command started would have the failpoint, too.
func withPoint(point string) func(*folder, *act) (string, int) {
	return func(f *folder, a *act) (string, int) {
		f.must("runtime", "start")
		return f.run([]string{"SLBCTL_FAILPOINT=" + point}, a.args...)
	}
}

// inDaemon runs the act with a failpoint in the daemon, which is started anew for it.
func inDaemon(point string) func(*folder, *act) (string, int) {
	return func(f *folder, a *act) (string, int) {
		f.must("runtime", "stop")
		if out, code := f.run([]string{"SLBCTL_FAILPOINT=" + point}, "runtime", "start"); code != 0 {
			return out, code
		}
		out, code := f.run(nil, a.args...)
		if _, runs := f.run(nil, "runtime", "status"); runs == 0 {
			f.agrees(a.name + " with a daemon at " + point)
		}
		f.must("runtime", "stop") // what follows has a daemon without failpoint
		return out, code
	}
}

// bothAt kills the command at a point, and daemon and instances with it, as a power cut does.
func bothAt(point string) func(*folder, *act) (string, int) {
	return func(f *folder, a *act) (string, int) {
		out, code := withPoint(point)(f, a)
		if code == -1 {
			f.killAll()
		}
		return out, code
	}
}

// bothIn kills the command, and the instances, when the daemon has come to its failpoint.
func bothIn(point string) func(*folder, *act) (string, int) {
	return func(f *folder, a *act) (string, int) {
		f.must("runtime", "stop")
		if out, code := f.run([]string{"SLBCTL_FAILPOINT=" + point}, "runtime", "start"); code != 0 {
			return out, code
		}
		daemon, err := strconv.Atoi(strings.TrimSpace(f.file(".slbctl/runtime.pid")))
		if err != nil {
			f.t.Fatal(err)
		}
		command := exec.Command(f.exe, a.args...)
		command.Dir = f.dir
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		if err := command.Start(); err != nil {
			f.t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = command.Wait(); close(ended) }() // how it ended is asked below
		for alive := true; alive && syscall.Kill(daemon, 0) == nil && !zombie(daemon); {
			select {
			case <-ended:
				alive = false
			case <-time.After(100 * time.Microsecond):
			}
		}
		_ = command.Process.Kill() // it may have ended by now
		<-ended
		f.killAll()
		return out.String(), command.ProcessState.ExitCode()
	}
}

// killAll kills the daemon and its instances.
func (f *folder) killAll() {
	for _, name := range []string{"runtime.pid", "instances.pid"} {
		pid, err := strconv.Atoi(strings.TrimSpace(f.file(".slbctl/" + name)))
		if err != nil {
			continue // it has stopped
		}
		line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil || !bytes.Contains(line, []byte("slbctl\x00runtime\x00")) {
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			time.Sleep(time.Millisecond)
		}
	}
}

func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

func newMatrix(t *testing.T) (*matrix, []act) {
	net := network(t)
	f := newFolder(t, builtFailpoints, "")
	for _, name := range []string{"www", "renewed"} {
		f.copy("../../testdata/certificates/"+name+".crt", name+".crt")
		f.copy("../../testdata/certificates/"+name+".key", name+".key")
	}
	m := &matrix{folder: f, sweep: newSweep(t), before: map[string]string{}, after: map[string]string{}}
	t.Cleanup(func() { t.Logf("%d requests meanwhile", m.requests) })
	return m, acts(net)
}

// converges checks that state and runtime say the same, that one apply finishes what is
// left, and that nothing is left after it.
func (f *folder) converges(point string) {
	f.t.Helper()
	if out, code := f.run(nil, "plan", "-detailed-exitcode"); code != 0 && code != 2 {
		f.t.Fatalf("%s: plan: exit %d\n%s", point, code, out)
	}
	f.agrees(point)
	f.must("apply", "-auto-approve")
	f.agrees(point)
	if out, code := f.run(nil, "plan", "-detailed-exitcode"); code != 0 {
		f.t.Fatalf("%s: a plan after the apply: exit %d\n%s", point, code, out)
	}
}

// agrees checks that state and runtime are of one generation. It starts the daemon if need be.
func (f *folder) agrees(point string) {
	f.t.Helper()
	if out, code := f.run(nil, "runtime", "start"); code != 0 {
		f.t.Fatalf("%s: runtime start: exit %d\n%s", point, code, out)
	}
	var recorded struct{ Generation uint64 }
	var live struct{ Runtime struct{ Generation uint64 } }
	f.document(&recorded, "state", "pull")
	f.document(&live, "status", "-json")
	if recorded.Generation != live.Runtime.Generation {
		f.t.Fatalf("%s: the state has generation %d, the runtime %d", point, recorded.Generation, live.Runtime.Generation)
	}
}

// copy copies a file into the folder.
func (f *folder) copy(from, name string) {
	f.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, name), data, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// TestKilledCommand kills what a user does before each of its durable operations and at its
// named steps: the command alone, and the command with all that runs.
func TestKilledCommand(t *testing.T) {
	t.Parallel()
	m, acts := newMatrix(t)
	for i := range acts {
		a := &acts[i]
		for _, kind := range []disturbance{{kind: "command killed", served: true}, {kind: "all killed"}} {
			at := withPoint
			if kind.kind == "all killed" {
				at = bothAt
			}
			try := func(point string) (ended bool) {
				_, code := m.try(a, disturbance{kind.kind, point, kind.served, at(point)})
				if code != 0 && code != -1 {
					t.Errorf("%s, %s at %s: exit %d", a.name, kind.kind, point, code)
				}
				return code == 0
			}
			for _, step := range []string{"apply-begun", "apply-done", "record-begun"} {
				if !m.sweep.skips(20) {
					try(step)
				}
			}
			for n := 1; n <= m.sweep.most(); n++ {
				if !m.sweep.skips(20) && try(fmt.Sprint("fs:", n)) {
					break
				}
			}
		}
	}
}

// TestFullDiskOfCommand has the disk full from each durable operation of a command on.
func TestFullDiskOfCommand(t *testing.T) {
	t.Parallel()
	m, acts := newMatrix(t)
	for i := range acts {
		a := &acts[i]
		for n := 1; n <= m.sweep.most(); n++ {
			if m.sweep.skips(20) {
				continue
			}
			point := fmt.Sprint("full:", n)
			out, code := m.try(a, disturbance{"command's disk full", point, true, withPoint(point)})
			if code == 0 {
				break
			}
			if code != 1 || !strings.Contains(out, "no space left on device") {
				t.Errorf("%s, disk full at %s: exit %d\n%s", a.name, point, code, out)
			}
		}
	}
}

// TestInitCutOff: what an init has left that was killed, or met a full disk, the next one
// completes.
func TestInitCutOff(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	exe, err := builtFailpoints()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"fs", "full"} {
		for n, code := 1, -1; code != 0; n++ {
			f := &folder{t: t, exe: exe, dir: t.TempDir()}
			var out string
			if out, code = f.run([]string{fmt.Sprint("SLBCTL_FAILPOINT=", kind, ":", n)}, "init"); code == 0 {
				break
			}
			end := endedBefore
			if again, code := f.run(nil, "init"); code != 0 && f.file("simulation.slb.hcl") == "" || f.leftovers() != nil {
				t.Errorf("%s:%d (%s): once more: exit %d\n%s\nleft: %s", kind, n, out, code, again, f.leftovers())
				end = endedBadly
			}
			f.must("validate")
			s.ended("init, "+kind, end)
		}
	}
}

// TestDisturbedDaemon kills the daemon at each phase of what it is asked for and before each
// of its durable operations, and has its disk full from each of them on.
func TestDisturbedDaemon(t *testing.T) {
	t.Parallel()
	m, acts := newMatrix(t)
	for i := range acts {
		a := &acts[i]
		if a.alone {
			continue
		}
		points := []string{"prepared", "verified", "committed"}
		most := 12
		if *long {
			most = 25
		}
		for n := 2; n <= most; n++ { // the first is of the command that starts it
			points = append(points, fmt.Sprint("fs:", n), fmt.Sprint("full:", n))
		}
		for _, point := range points {
			if m.sweep.skips(20) {
				continue
			}
			if strings.HasPrefix(point, "full") {
				if out, code := m.try(a, disturbance{"daemon's disk full", point, false, inDaemon(point)}); code != 0 && code != 1 {
					t.Errorf("%s, daemon's disk full at %s: exit %d\n%s", a.name, point, code, out)
				}
				continue
			}
			if out, code := m.try(a, disturbance{"daemon killed", point, false, inDaemon(point)}); code != 0 && code != 1 {
				t.Errorf("%s, daemon killed at %s: exit %d\n%s", a.name, point, code, out)
			}
			m.try(a, disturbance{"all killed in the daemon", point, false, bothIn(point)}) // any exit code: it may have been quicker
		}
	}
}
