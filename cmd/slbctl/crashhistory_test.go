package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const rollbackConfig = crashConfig + `
certificate "www" {
  certificate = file("%s.crt")
  private_key = file("%[3]s.key")
}
`

// TestKilledRollback kills rollback before every single durable operation that it makes
// and at its named steps, while clients send requests. Afterwards the one generation or
// the other is recorded and runs, with its certificate's key, and a rollback finishes.
func TestKilledRollback(t *testing.T) {
	t.Parallel()
	net := network(t)
	f := newFolder(t, builtFailpoints, "")
	for _, name := range []string{"www", "renewed"} {
		f.copy("../../testdata/certificates/"+name+".crt", name+".crt")
		f.copy("../../testdata/certificates/"+name+".key", name+".key")
	}
	first, second := fmt.Sprintf(rollbackConfig, net, 100, "www"), fmt.Sprintf(rollbackConfig, net, 50, "renewed")
	f.write(first)
	f.must("apply", "-auto-approve")
	f.write(second)
	f.must("apply", "-auto-approve")
	if err := os.Remove(filepath.Join(f.dir, "www.key")); err != nil { // what goes back has to be among the secrets
		t.Fatal(err)
	}
	clients := f.startClients()
	kill := func(point string) (killed bool) {
		var recorded struct{ Serial uint64 }
		f.document(&recorded, "state", "pull")
		back := []string{"rollback", fmt.Sprint(recorded.Serial - 1), "-auto-approve"}
		out, code := f.run([]string{"SLBCTL_FAILPOINT=" + point}, back...)
		if code != 0 && code != -1 {
			t.Fatalf("killed at %s: exit %d\n%s", point, code, out)
		}
		f.agrees(point)
		f.must(back...)
		f.agrees(point)
		if out, code := f.run(nil, back...); code != 0 || !strings.Contains(out, "No changes.") {
			t.Fatalf("killed at %s: after a rollback there is left to do: exit %d\n%s", point, code, out)
		}
		f.must("apply", "-auto-approve") // and forth again
		return code == -1
	}
	for _, step := range []string{"apply-begun", "apply-done"} {
		if !kill(step) {
			t.Errorf("rollback never came to %s", step)
		}
	}
	points := 1
	for kill(fmt.Sprint("fs:", points)) {
		points++
	}
	if points < 10 {
		t.Errorf("only %d durable operations were seen", points-1)
	}
	clients.stop()
}

// TestKilledStateEdits kills what changes the record by hand at every durable operation.
// The next command finds the record before or after it, in agreement with what runs, and
// the same edit again, where it did not happen, does.
func TestKilledStateEdits(t *testing.T) {
	t.Parallel()
	net := network(t)
	config := fmt.Sprintf(crashConfig, net, 100)
	f := newFolder(t, builtFailpoints, config)
	f.must("apply", "-auto-approve")
	f.copy(filepath.Join(f.dir, "slbctl.state.json"), "old.json")
	clients := f.startClients()
	for name, edit := range map[string]struct{ args, undo []string }{
		"mv":   {[]string{"state", "mv", "load_balancer.lb", "load_balancer.site"}, []string{"state", "mv", "load_balancer.site", "load_balancer.lb"}},
		"rm":   {[]string{"state", "rm", "load_balancer.lb"}, []string{"apply", "-auto-approve"}},
		"push": {[]string{"state", "push", "-force", "old.json"}, []string{"apply", "-auto-approve"}},
	} {
		points := 0
		for killed := true; killed; {
			points++
			point := fmt.Sprint("fs:", points)
			out, code := f.run([]string{"SLBCTL_FAILPOINT=" + point}, edit.args...)
			if killed = code == -1; !killed && code != 0 {
				t.Fatalf("%s killed at %s: exit %d\n%s", name, point, code, out)
			}
			if out, code := f.run(nil, "state", "pull"); code != 0 {
				t.Fatalf("%s killed at %s: the state: exit %d\n%s", name, point, code, out)
			}
			f.agrees(name + " " + point)
			if out, code := f.run(nil, edit.args...); code != 0 && !strings.Contains(out, "is not in the state") {
				t.Fatalf("%s killed at %s: once more: exit %d\n%s", name, point, code, out)
			}
			f.must(edit.undo...)
			f.converges(name + " " + point)
		}
		if points < 8 {
			t.Errorf("%s: only %d durable operations were seen", name, points-1)
		}
		t.Logf("%s: %d points", name, points-1)
	}
	clients.stop()
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
