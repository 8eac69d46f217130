package state

import (
	"encoding/json"
	"errors"
	"fmt"

	"slbctl/runtime/durable"
)

// Base is what a change starts from.
type Base struct {
	Serial     uint64 // of the recorded state, 0 without one
	Lineage    string `json:",omitempty"` // of the recorded state, where another one takes its place
	Generation uint64 // that the runtime runs, 0 = none
	Hash       string // digest of what it runs
}

// record is one line of the journal.
type record struct {
	Op         string `json:"op"` // begin or commit
	Serial     uint64 `json:"serial"`
	Generation uint64 `json:"generation"`
	Hash       string `json:"hash"`
	Base       *Base  `json:"base,omitempty"`
	// State is the whole next state, as its document: a string, because the document's
	// checksum is over its bytes, which nobody may reformat.
	State string `json:"state,omitempty"`

	next *State
}

const (
	opBegin  = "begin"
	opCommit = "commit"
)

// Live says which generation the runtime has committed to, and the digest of
// its configuration: 0 when it runs none. It must find the answer also when the
// daemon is gone, from the snapshot that the daemon left on disk. While the
// runtime is in the middle of a change there is no answer yet: Live waits, or
// returns ErrBusy.
type Live func() (generation uint64, hash string, err error)

// ErrBusy is a runtime that may still commit to a change or take it back.
var ErrBusy = errors.New("it is in the middle of a change")

// Begin notes on disk that the runtime is going to be asked for next. Its
// Generation and ConfigHash tell the runtime's answer from what ran before.
func (s *Store) Begin(next *State, base Base) error {
	j, err := durable.OpenJournal(s.fsys, s.journal)
	if err != nil {
		return err
	}
	if j.Exists() && s.unsaved != nil {
		return s.unsaved
	}
	if j.Exists() {
		return fmt.Errorf("journal %s: an earlier change is not finished: recover it first", s.journal)
	}
	data, err := next.Encode()
	if err != nil {
		return err
	}
	rec := &record{Op: opBegin, Serial: next.Serial, Generation: next.Generation, Hash: next.ConfigHash, Base: &base, State: string(data)}
	line, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("journal %s: encode: %w", s.journal, err)
	}
	if err := j.Append(line); err != nil {
		return errors.Join(err, j.Remove())
	}
	s.pending = rec
	return nil
}

// Commit records that the runtime runs what Begin announced.
func (s *Store) Commit() error {
	if s.pending == nil {
		return errors.New("state: commit without begin")
	}
	j, err := durable.OpenJournal(s.fsys, s.journal)
	if err != nil {
		return err
	}
	rec := record{Op: opCommit, Serial: s.pending.Serial, Generation: s.pending.Generation, Hash: s.pending.Hash}
	line, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("journal %s: encode: %w", s.journal, err)
	}
	if err := j.Append(line); err != nil {
		return err
	}
	if err := s.saveDocument(s.pending.Serial, []byte(s.pending.State)); err != nil {
		return err
	}
	s.pending = nil
	return j.Remove()
}

// Abort forgets what Begin announced: the runtime has refused it or gone back.
func (s *Store) Abort() error {
	j, err := durable.OpenJournal(s.fsys, s.journal)
	if err != nil {
		return err
	}
	s.pending = nil
	return j.Remove()
}

// Outcome says what Recover found.
type Outcome int

const (
	// Clean: no change was under way.
	Clean Outcome = iota
	// Finished: the runtime had committed to the change, and now the state has.
	Finished
	// Dropped: the runtime had not, so the change never happened.
	Dropped
)

// Recover finishes what a killed process left, and returns the state that then
// holds, also with an *UnsavedError. Call it first under the lock.
func (s *Store) Recover(live Live) (*State, Outcome, error) {
	st, outcome, j, err := s.resolve(live)
	if err != nil {
		return nil, Clean, err
	}
	if !j.Exists() {
		return st, Clean, nil
	}
	if outcome == Finished {
		if err := s.sweep(st.Serial); err != nil {
			return nil, Clean, err
		}
		if err := s.save(st); err != nil {
			s.unsaved = &UnsavedError{err}
			return st, Finished, s.unsaved
		}
	}
	return st, outcome, j.Remove()
}

// UnsavedError is a change that holds and whose record cannot be finished, mostly for want
// of space: nothing is lost, and who only looks can go on.
type UnsavedError struct{ Reason error }

func (e *UnsavedError) Error() string {
	return fmt.Sprintf("what was changed last cannot be recorded yet, and nothing can be changed before that: %v", e.Reason)
}

func (e *UnsavedError) Unwrap() error { return e.Reason }

// Read returns the state that Recover would, and changes nothing: for commands
// that only look, also while another process applies: until that is through,
// what was recorded before still holds.
func (s *Store) Read(live Live) (*State, error) {
	st, _, _, err := s.resolve(live)
	if errors.Is(err, ErrBusy) {
		return s.Load()
	}
	return st, err
}

// resolve decides between the snapshot and the journal's next state. The
// journal is read first: when it is gone by the time the snapshot is read, the
// snapshot is what it ended in.
func (s *Store) resolve(live Live) (*State, Outcome, *durable.Journal, error) {
	fail := func(err error) (*State, Outcome, *durable.Journal, error) { return nil, Clean, nil, err }
	j, err := durable.OpenJournal(s.fsys, s.journal)
	if err != nil {
		return fail(err)
	}
	st, err := s.Load()
	if err != nil {
		return fail(err)
	}
	if !j.Exists() {
		return st, Clean, j, nil
	}
	begin, committed, err := s.parse(j)
	switch {
	case err != nil:
		return fail(err)
	case begin == nil: // torn: the runtime was never asked
		return st, Dropped, j, nil
	case st != nil && st.Lineage != begin.next.Lineage && (begin.Base == nil || st.Lineage != begin.Base.Lineage):
		return fail(fmt.Errorf("journal %s belongs to another state than %s: put that state back, or remove the journal", s.journal, s.snapshot))
	case st != nil && st.Serial >= begin.Serial: // saved, only the journal stayed
		return st, Finished, j, nil
	case committed:
		return begin.next, Finished, j, nil
	}
	generation, hash, err := live()
	if err != nil {
		return fail(fmt.Errorf("journal %s: a change is not finished and the runtime does not say what became of it: %w", s.journal, err))
	}
	if generation == begin.Generation && hash == begin.Hash {
		return begin.next, Finished, j, nil
	}
	return st, Dropped, j, nil
}

// parse reads the begin record, if it is whole, and whether a commit follows.
func (s *Store) parse(j *durable.Journal) (begin *record, committed bool, err error) {
	records := j.Records()
	if len(records) == 0 {
		return nil, false, nil
	}
	begin = new(record)
	if err := json.Unmarshal(records[0], begin); err != nil || begin.Op != opBegin {
		return nil, false, fmt.Errorf("journal %s is not one of slbctl: move it away", s.journal)
	}
	if begin.next, err = Decode([]byte(begin.State)); err != nil {
		return nil, false, fmt.Errorf("journal %s: the next state does not read: %w", s.journal, err)
	}
	return begin, len(records) > 1, nil
}

// sweep removes what a process that was killed while saving left behind.
func (s *Store) sweep(serial uint64) error {
	if err := durable.RemoveTemps(s.fsys, s.snapshot); err != nil {
		return err
	}
	return durable.RemoveTemps(s.fsys, s.historyPath(serial))
}
