package state_test

import (
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"slbctl/planner/state"
	"slbctl/runtime/durable/durabletest"
)

// engine stands for the daemon: it has committed to a generation, or not.
type engine struct {
	generation uint64
	hash       string
	down       error
}

func (e *engine) live() (uint64, string, error) { return e.generation, e.hash, e.down }

func (e *engine) commit(s *state.State) { e.generation, e.hash = s.Generation, s.ConfigHash }

func seeded(t testing.TB, s *state.State) *durabletest.Disk {
	if s == nil {
		return durabletest.New()
	}
	return holding(encode(t, s))
}

func holding(snapshot []byte) *durabletest.Disk {
	disk := durabletest.New()
	if snapshot != nil {
		disk.Put("/w/slbctl.state.json", snapshot)
	}
	return disk
}

// TestStoppedAnywhere is the promise of this package: a change of any size is
// stopped before each of its durable operations, with the runtime before or
// after its commit, and each kind of loss follows. The next process finds the
// old state or the new one, whichever the runtime runs, and nothing is left over.
// The recovery itself is stopped everywhere as well.
func TestStoppedAnywhere(t *testing.T) {
	points := 0
	for size := 1; size <= 30; size++ {
		before, after := sample(4, size/2+1), sample(5, size)
		if size%5 == 0 {
			before = nil
			after = sample(1, size)
		}
		var snapshot []byte
		if before != nil {
			snapshot = encode(t, before)
		}
		for _, loss := range durabletest.Losses {
			for at, done := 1, false; !done; at++ {
				points++
				disk := holding(snapshot)
				disk.ShortWrites(at * 37)
				disk.StopAt(at, nil)
				e := &engine{}
				if before != nil {
					e.commit(before)
				}
				store := state.Open(disk, "/w", "")
				if store.Begin(after, state.Base{Generation: e.generation}) == nil {
					e.commit(after)
					_ = store.Commit() // it fails at the stop, which is the point
				}
				done = !disk.Stopped()
				want := before
				if e.generation == after.Generation {
					want = after
				}
				checkRecovery(t, disk.Reboot(loss), e, want, loss, at)
			}
		}
	}
	if points < 2000 {
		t.Errorf("only %d points", points)
	}
	t.Logf("%d points", points)
}

func checkRecovery(t *testing.T, disk *durabletest.Disk, e *engine, want *state.State, loss durabletest.Loss, at int) {
	t.Helper()
	seen, err := state.Open(disk, "/w", "").Read(e.live)
	if err != nil || !same(seen, want) {
		t.Fatalf("loss %d, stop at %d: reading finds %v, %v", loss, at, seen, err)
	}
	if at%4 == int(loss) { // a recovery that is stopped, too, here and there
		again := disk.Reboot(durabletest.Nothing)
		again.StopAt(at%7+1, nil)
		_, _, _ = state.Open(again, "/w", "").Recover(e.live)
		disk = again.Reboot(loss)
	}
	store := state.Open(disk, "/w", "")
	got, _, err := store.Recover(e.live)
	if err != nil || !same(got, want) {
		t.Fatalf("loss %d, stop at %d: recovery finds %v, %v", loss, at, got, err)
	}
	if got, outcome, err := store.Recover(e.live); err != nil || outcome != state.Clean || !same(got, want) {
		t.Fatalf("loss %d, stop at %d: a second recovery finds %v, %v, %v", loss, at, got, outcome, err)
	}
	for _, name := range disk.Names() {
		if strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".journal") {
			t.Errorf("loss %d, stop at %d: %s is left over", loss, at, name)
		}
	}
}

func same(a, b *state.State) bool { return reflect.DeepEqual(a, b) }

// TestBeginCutAtEachByte loses the end of the begin record.
func TestBeginCutAtEachByte(t *testing.T) {
	before, after := sample(4, 1), sample(5, 2)
	disk := seeded(t, before)
	if err := state.Open(disk, "/w", "").Begin(after, state.Base{}); err != nil {
		t.Fatal(err)
	}
	journal, _ := disk.ReadFile("/w/slbctl.state.journal")
	e := &engine{}
	e.commit(before)
	snapshot := encode(t, before)
	for n := range journal {
		disk := holding(snapshot)
		disk.Put("/w/slbctl.state.journal", journal[:n])
		checkRecovery(t, disk, e, before, durabletest.Nothing, 0)
	}
}

// TestOutOfSpace fails each operation in turn without stopping.
func TestOutOfSpace(t *testing.T) {
	before, after := sample(4, 2), sample(5, 3)
	for at := 1; ; at++ {
		disk := seeded(t, before)
		disk.StopAt(at, syscall.ENOSPC)
		e := &engine{}
		e.commit(before)
		store := state.Open(disk, "/w", "")
		err := store.Begin(after, state.Base{})
		if err == nil {
			e.commit(after)
			err = store.Commit()
		}
		if disk.Ops() < at {
			break
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("operation %d (%s): %v", at, disk.Log[at-1], err)
		}
		want := before
		if e.generation == after.Generation {
			want = after
		}
		checkRecovery(t, disk, e, want, durabletest.Nothing, 1)
	}
}

// TestFullFromAnyOperationOn fills the disk from each operation on: what the runtime has is
// what holds, whoever looks sees it at once, and once there is space it is recorded.
func TestFullFromAnyOperationOn(t *testing.T) {
	before, after := sample(4, 2), sample(5, 3)
	points, unsaved := 0, 0
	for at := 1; ; at++ {
		disk := seeded(t, before)
		disk.FillAt(at)
		e := &engine{}
		e.commit(before)
		store := state.Open(disk, "/w", "")
		err := store.Begin(after, state.Base{})
		if err == nil {
			e.commit(after)
			err = store.Commit()
		}
		if err == nil {
			break
		}
		points++
		want := before
		if e.generation == after.Generation {
			want = after
		}
		store = state.Open(disk, "/w", "")
		if seen, err := store.Read(e.live); err != nil || !same(seen, want) {
			t.Fatalf("full from operation %d on: reading finds %v, %v", at, seen, err)
		}
		got, _, err := store.Recover(e.live)
		var told *state.UnsavedError
		if errors.As(err, &told) {
			unsaved++
			if err := store.Begin(sample(6, 1), state.Base{}); !errors.As(err, &told) {
				t.Errorf("full from operation %d on: the next change: %v", at, err)
			}
		} else if err != nil {
			t.Errorf("full from operation %d on: recovery: %v", at, err)
		}
		if !same(got, want) {
			t.Fatalf("full from operation %d on: recovery finds %v", at, got)
		}
		checkRecovery(t, disk.Reboot(durabletest.Nothing), e, want, durabletest.Nothing, 1)
	}
	if unsaved == 0 || unsaved == points {
		t.Errorf("%d points, of which %d leave a record for later", points, unsaved)
	}
}

func TestRecoverAsksOnlyWhenItMust(t *testing.T) {
	disk := seeded(t, sample(4, 1))
	e := &engine{down: errors.New("nobody home")}
	if _, outcome, err := state.Open(disk, "/w", "").Recover(e.live); err != nil || outcome != state.Clean {
		t.Errorf("nothing under way: %v, %v", outcome, err)
	}
	if err := state.Open(disk, "/w", "").Begin(sample(5, 1), state.Base{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := state.Open(disk, "/w", "").Recover(e.live); err == nil || !strings.Contains(err.Error(), "nobody home") {
		t.Errorf("an unanswered question: %v", err)
	}
	if err := state.Open(disk, "/w", "").Begin(sample(5, 1), state.Base{}); err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("a second begin: %v", err)
	}
	committed := seeded(t, sample(4, 1))
	store := state.Open(committed, "/w", "")
	if err := store.Begin(sample(5, 1), state.Base{}); err != nil {
		t.Fatal(err)
	}
	committed.StopAt(4, nil) // behind the commit record
	_ = store.Commit()       // it fails at the stop
	if s, outcome, err := state.Open(committed.Reboot(durabletest.Synced), "/w", "").Recover(e.live); err != nil || outcome != state.Finished || s.Serial != 5 {
		t.Errorf("commit recorded: %v, %v, %v", s, outcome, err)
	}
	e.down = state.ErrBusy
	if s, err := state.Open(disk, "/w", "").Read(e.live); err != nil || s.Serial != 4 {
		t.Errorf("reading during a change: %v, %v", s, err)
	}
	if _, _, err := state.Open(disk, "/w", "").Recover(e.live); !errors.Is(err, state.ErrBusy) {
		t.Errorf("recovering during a change: %v", err)
	}
	e.down = nil
	e.generation, e.hash = 105, "another"
	if s, outcome, err := state.Open(disk, "/w", "").Recover(e.live); err != nil || outcome != state.Dropped || s.Serial != 4 {
		t.Errorf("same generation, other content: %v, %v, %v", s, outcome, err)
	}
}

func TestAbort(t *testing.T) {
	before := sample(4, 1)
	disk := seeded(t, before)
	store := state.Open(disk, "/w", "")
	if err := store.Begin(sample(5, 1), state.Base{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(); err == nil {
		t.Error("commit after abort")
	}
	e := &engine{down: errors.New("not asked")}
	if s, outcome, err := store.Recover(e.live); err != nil || outcome != state.Clean || !same(s, before) {
		t.Errorf("%v, %v, %v", s, outcome, err)
	}
}

func TestForeignJournal(t *testing.T) {
	disk := seeded(t, nil)
	if err := state.Open(disk, "/w", "").Begin(sample(5, 1), state.Base{}); err != nil {
		t.Fatal(err)
	}
	other := sample(4, 1)
	other.Lineage = "another"
	disk.Put("/w/slbctl.state.json", encode(t, other))
	e := &engine{}
	if _, _, err := state.Open(disk, "/w", "").Recover(e.live); err == nil || !strings.Contains(err.Error(), "belongs to another state") {
		t.Error(err)
	}
}

// TestAnotherLineageStoppedAnywhere pushes a state of another lineage in place of the
// recorded one and is stopped before each durable operation: there is the one or the
// other, and nothing to do by hand.
func TestAnotherLineageStoppedAnywhere(t *testing.T) {
	before, after := sample(4, 3), sample(9, 2)
	after.Lineage = "another"
	snapshot := encode(t, before)
	for _, loss := range durabletest.Losses {
		for at, done := 1, false; !done; at++ {
			disk := holding(snapshot)
			disk.StopAt(at, nil)
			e := &engine{}
			e.commit(before)
			store := state.Open(disk, "/w", "")
			err := store.Begin(after, state.Base{Serial: before.Serial, Lineage: before.Lineage, Generation: e.generation, Hash: e.hash})
			if err == nil {
				err = store.Commit()
			}
			done = !disk.Stopped()
			next := disk.Reboot(loss)
			got, _, recoverErr := state.Open(next, "/w", "").Recover(e.live)
			switch {
			case recoverErr != nil:
				t.Fatalf("loss %d, stop at %d: %v", loss, at, recoverErr)
			case !same(got, before) && !same(got, after):
				t.Fatalf("loss %d, stop at %d: a mixture: %v", loss, at, got)
			case err == nil && !same(got, after):
				t.Fatalf("loss %d, stop at %d: it was recorded and is lost", loss, at)
			}
			checkRecovery(t, next, e, got, durabletest.Nothing, at)
		}
	}
}

func TestHistoryTimeAndPutAside(t *testing.T) {
	disk := seeded(t, sample(4, 1))
	store := state.Open(disk, "/w", "")
	if _, err := store.HistoryTime(4); err == nil {
		t.Error("a time of what is not kept")
	}
	disk.Put("/w/.slbctl/history/4.json", encode(t, sample(4, 1)))
	if at, err := store.HistoryTime(4); err != nil || at.IsZero() {
		t.Errorf("%v, %v", at, err)
	}
	for _, want := range []string{"/w/slbctl.state.json.corrupt-1", "/w/slbctl.state.json.corrupt-2"} {
		disk.Put("/w/slbctl.state.json", []byte("torn"))
		if name, err := store.PutAside(); err != nil || name != want {
			t.Errorf("%s, %v", name, err)
		}
		if s, err := store.Load(); s != nil || err != nil {
			t.Errorf("it is still there: %v, %v", s, err)
		}
	}
}
