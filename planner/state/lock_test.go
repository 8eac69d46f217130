package state_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"slbctl/planner/state"
	"slbctl/runtime/durable"
)

func TestLock(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	first := state.Open(durable.OS, dir, "")
	unlock, err := first.Lock(ctx, state.Self("apply"), 0)
	if err != nil {
		t.Fatal(err)
	}
	second := state.Open(durable.OS, dir, "")
	_, err = second.Lock(ctx, state.Self("plan"), 0)
	var locked *state.LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != os.Getpid() || locked.Holder.Command != "apply" {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{`by "slbctl apply"`, "process " + strconv.Itoa(os.Getpid()), "which is running", "-lock-timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	for name, perm := range map[string]os.FileMode{".slbctl": 0o700, ".slbctl/lock": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != perm {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = second.Lock(ctx, state.Self("plan"), 0)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestLockWaits(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	store := state.Open(durable.OS, dir, "")
	unlock, err := store.Lock(ctx, state.Self("apply"), 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Lock(ctx, state.Self("plan"), 30*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "waited 30ms") {
		t.Errorf("got %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := store.Lock(cancelled, state.Self("plan"), time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		release, err := store.Lock(ctx, state.Self("plan"), time.Minute)
		if err == nil {
			err = release()
		}
		got <- err
	}()
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("waiting: %v", err)
	}
}

// TestLockDiesWithItsHolder kills a process that holds the lock.
func TestLockDiesWithItsHolder(t *testing.T) {
	if dir := os.Getenv("LOCK_TEST_DIR"); dir != "" {
		if _, err := state.Open(durable.OS, dir, "").Lock(t.Context(), state.Self("apply"), 0); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("locked\n")
		select {}
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestLockDiesWithItsHolder$", "-test.v")
	child.Env = append(os.Environ(), "LOCK_TEST_DIR="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for buf := make([]byte, 256); !strings.Contains(said, "locked\n"); {
		n, err := out.Read(buf)
		said += string(buf[:n])
		if err != nil {
			t.Fatal(err, said)
		}
	}
	store := state.Open(durable.OS, dir, "")
	_, err = store.Lock(t.Context(), state.Self("plan"), 0)
	var locked *state.LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != child.Process.Pid {
		t.Errorf("while it lives: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	unlock, err := store.Lock(t.Context(), state.Self("plan"), 0)
	if err != nil {
		t.Fatalf("after its death: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// TestLockOnAFullDisk has a lock file that takes no byte.
func TestLockOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".slbctl"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", filepath.Join(dir, ".slbctl", "lock")); err != nil {
		t.Fatal(err)
	}
	unlock, err := state.Open(durable.OS, dir, "").Lock(t.Context(), state.Self("apply"), time.Minute)
	if err != nil {
		t.Fatalf("a lock whose holder cannot write its name: %v", err)
	}
	_, err = state.Open(durable.OS, dir, "").Lock(t.Context(), state.Self("plan"), 0)
	var locked *state.LockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), "whose name is not in") || !strings.Contains(err.Error(), "full disk") {
		t.Errorf("while it is held: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestLockedErrorNamesWhatItKnows(t *testing.T) {
	host, _ := os.Hostname()
	for _, c := range []struct {
		holder state.Holder
		want   string
	}{
		{state.Holder{}, "by a process whose name is not in /w/lock"},
		{state.Holder{PID: 1 << 30, Host: host, User: "u", Command: "apply"}, "which is gone"},
		{state.Holder{PID: 1, Host: host + "x", User: "u", Command: "apply"}, "process 1 of u on " + host + "x, since"},
	} {
		err := &state.LockedError{Path: "/w/lock", Holder: c.holder}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is not in: %v", c.want, err)
		}
	}
}
