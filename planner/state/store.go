package state

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"slbctl/runtime/durable"
)

// keepHistory is how many earlier states are kept.
const keepHistory = 50

// Store is where one working folder records its state. Methods that write need
// the lock.
type Store struct {
	fsys     durable.FS
	dir      string // the working folder's .slbctl
	snapshot string
	journal  string
	history  string
	pending  *record
	unsaved  error // why Recover could not finish what it found; nil = it could
	// loaded is what read decoded to: a command reads the state before and after
	// it gets the lock, and mostly it is the same.
	read   string
	loaded *State
}

// Open returns the store of a working folder. A statePath other than "" moves
// the snapshot, and with it the journal and the history: FILE.json has
// FILE.journal and FILE.history/ beside it. Nothing is read or made yet.
func Open(fsys durable.FS, dir, statePath string) *Store {
	s := &Store{
		fsys:     fsys,
		dir:      filepath.Join(dir, ".slbctl"),
		snapshot: filepath.Join(dir, "slbctl.state.json"),
		journal:  filepath.Join(dir, "slbctl.state.journal"),
		history:  filepath.Join(dir, ".slbctl", "history"),
	}
	if statePath != "" && filepath.Clean(statePath) != s.snapshot {
		base := strings.TrimSuffix(statePath, ".json")
		s.snapshot, s.journal, s.history = statePath, base+".journal", base+".history"
	}
	return s
}

// Path is the snapshot's file name, for messages.
func (s *Store) Path() string { return s.snapshot }

// Load reads the snapshot as it is on disk; no state is nil. A file that is
// there and does not read is a *CorruptError: it is kept and never overwritten.
func (s *Store) Load() (*State, error) {
	data, err := s.fsys.ReadFile(s.snapshot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state %s: read: %w", s.snapshot, err)
	}
	if s.loaded != nil && string(data) == s.read {
		return s.loaded, nil
	}
	text := string(data)
	st, err := decode(data, text)
	if err != nil {
		return nil, &CorruptError{Path: s.snapshot, Reason: err, Good: s.newestGood(lineageOf(data))}
	}
	s.read, s.loaded = text, st
	return st, nil
}

// CorruptError is a state file that does not read.
type CorruptError struct {
	Path   string
	Reason error
	Good   string // the newest history file of this state that reads; "" without one
}

func (e *CorruptError) Error() string {
	text := fmt.Sprintf("state %s is not usable: %v; the file is kept as it is", e.Path, e.Reason)
	if e.Good == "" {
		return text + "; there is no history of it: put back a copy of your own"
	}
	return text + "; the newest good state is in the history, put it back with: cp " + shellQuote(e.Good) + " " + shellQuote(e.Path)
}

func (e *CorruptError) Unwrap() error { return e.Reason }

// shellQuote makes one word of a path for the command line in a message.
func shellQuote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@%", r)
	}
	if path != "" && !strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// History lists the serials that are kept, oldest first.
func (s *Store) History() ([]uint64, error) {
	names, err := s.fsys.ReadDir(s.history)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state history %s: list: %w", s.history, err)
	}
	var serials []uint64
	for _, name := range names {
		number, ok := strings.CutSuffix(name, ".json")
		if n, err := strconv.ParseUint(number, 10, 64); ok && err == nil {
			serials = append(serials, n)
		}
	}
	slices.Sort(serials)
	return serials, nil
}

// LoadHistory reads one earlier state.
func (s *Store) LoadHistory(serial uint64) (*State, error) {
	path := s.historyPath(serial)
	data, err := s.fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state history: serial %d is not kept", serial)
	}
	if err != nil {
		return nil, fmt.Errorf("state history %s: read: %w", path, err)
	}
	st, err := Decode(data)
	if err != nil {
		return nil, &CorruptError{Path: path, Reason: err}
	}
	return st, nil
}

// HistoryTime is when an earlier state was recorded.
func (s *Store) HistoryTime(serial uint64) (time.Time, error) {
	t, err := s.fsys.ModTime(s.historyPath(serial))
	if err != nil {
		return t, fmt.Errorf("state history: serial %d: %w", serial, err)
	}
	return t, nil
}

// PutAside renames a snapshot that does not read, and says how it is called then. What
// was in it may still help somebody.
func (s *Store) PutAside() (name string, err error) {
	name, err = durable.PutAside(s.fsys, s.snapshot)
	if err != nil {
		return "", fmt.Errorf("state: %w", err)
	}
	return name, nil
}

func (s *Store) historyPath(serial uint64) string {
	return filepath.Join(s.history, strconv.FormatUint(serial, 10)+".json")
}

// LastSerial is the highest that the history knows, 0 without one. What is recorded
// next goes above it, also when it is another state's: no serial is used twice in
// a folder, so no entry is ever written over, and the newest has the highest.
func (s *Store) LastSerial() (uint64, error) {
	serials, err := s.History()
	if err != nil || len(serials) == 0 {
		return 0, err
	}
	return serials[len(serials)-1], nil
}

// Misplaced tells when a state is not the one that was recorded last: then somebody has put
// an older one in its place, or that of another folder. "" = it is.
func (s *Store) Misplaced(st *State) (warning string, err error) {
	last, err := s.LastSerial()
	if err != nil || last < st.Serial {
		return "", err
	}
	lineage := ""
	if data, err := s.fsys.ReadFile(s.historyPath(last)); err == nil { // else it tells nothing, and the state is read all the same
		lineage = lineageOf(data)
	}
	what := ""
	switch {
	case lineage != st.Lineage && lineage != "":
		what = fmt.Sprintf("is of lineage %s, and not of lineage %s, which was recorded here last", st.Lineage, lineage)
	case last > st.Serial:
		what = fmt.Sprintf("has serial %d, and serial %d was recorded last", st.Serial, last)
	default:
		return "", nil
	}
	return fmt.Sprintf("%s %s: if nobody meant to put it there, put back what was recorded with: cp %s %s",
		s.snapshot, what, shellQuote(s.historyPath(last)), shellQuote(s.snapshot)), nil
}

// newestGood names the history file that could replace a corrupt snapshot of this
// lineage, or of any when the snapshot does not tell its own.
func (s *Store) newestGood(lineage string) string {
	serials, err := s.History()
	if err != nil {
		return ""
	}
	for _, n := range slices.Backward(serials) {
		if st, err := s.LoadHistory(n); err == nil && (lineage == "" || st.Lineage == lineage) {
			return s.historyPath(n)
		}
	}
	return ""
}

// lineageOf finds the lineage in what is left of a document, or "".
func lineageOf(document []byte) string {
	_, rest, _ := bytes.Cut(document, []byte(`"lineage": "`))
	lineage, _, whole := bytes.Cut(rest, []byte(`"`))
	if !whole {
		return ""
	}
	return string(lineage)
}

// save writes the snapshot and its copy in the history. Doing it again does no
// harm, so a crash in its middle needs no record of how far it came.
func (s *Store) save(st *State) error {
	data, err := st.Encode()
	if err != nil {
		return err
	}
	return s.saveDocument(st.Serial, data)
}

// saveDocument is save for a state that is encoded already.
func (s *Store) saveDocument(serial uint64, data []byte) error {
	if err := s.mkdir(s.history); err != nil {
		return err
	}
	if err := durable.WriteFile(s.fsys, s.historyPath(serial), data, 0o600); err != nil {
		return fmt.Errorf("state history: %w", err)
	}
	if err := durable.WriteFile(s.fsys, s.snapshot, data, 0o600); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := s.prune(); err != nil {
		return err
	}
	return s.forgetSecrets(data)
}

// mkdir makes a folder that is on disk when it returns.
func (s *Store) mkdir(dir string) error {
	if err := s.fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("state: make the folder %s: %w", dir, err)
	}
	if err := s.fsys.SyncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("state: sync the folder above %s: %w", dir, err)
	}
	return nil
}

// prune removes the oldest of the history.
func (s *Store) prune() error {
	serials, err := s.History()
	if err != nil || len(serials) <= keepHistory {
		return err
	}
	for _, n := range serials[:len(serials)-keepHistory] {
		if err := s.fsys.Remove(s.historyPath(n)); err != nil {
			return fmt.Errorf("state history: remove serial %d: %w", n, err)
		}
	}
	return nil
}

// Key returns the working folder's secret, which digests of sensitive values
// are keyed with; the first call makes it.
func (s *Store) Key() ([]byte, error) {
	path := filepath.Join(s.dir, "key")
	key, err := s.fsys.ReadFile(path)
	switch {
	case err == nil && len(key) == 32:
		return key, nil
	case err == nil:
		return nil, fmt.Errorf("key %s has %d bytes instead of 32: put back a copy, or remove it and apply again", path, len(key))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("key %s: read: %w", path, err)
	}
	if err := s.mkdir(s.dir); err != nil {
		return nil, err
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key) // never fails: it ends the process instead
	if err := durable.WriteFile(s.fsys, path, key, 0o600); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return key, nil
}
