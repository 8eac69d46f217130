package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/spec"
)

// committedFile holds the last committed generation: what the daemon comes back
// with after a crash or a reboot, without the command line.
const committedFile = "committed.json"

// committed is one generation that was verified, or applied without waiting.
type committed struct {
	Checksum      string          `json:"checksum"` // durable.Seal; the first key
	FormatVersion string          `json:"format_version"`
	Generation    uint64          `json:"generation"`
	Hash          string          `json:"hash"`
	Config        *spec.Config    `json:"config"`
	Stopped       map[string]bool `json:"stopped"` // instances stopped by hand
}

func newCommitted(g control.Generation, c *spec.Config) committed {
	return committed{
		FormatVersion: formatVersion, Generation: g.Generation, Hash: g.Hash,
		Config: c, Stopped: map[string]bool{},
	}
}

// withStopped returns a copy in which one instance is stopped by hand, or not.
func (c committed) withStopped(address string, stopped bool) committed {
	c.Stopped = maps.Clone(c.Stopped)
	if stopped {
		c.Stopped[address] = true
	} else {
		delete(c.Stopped, address)
	}
	return c
}

// running says whether an instance is meant to run and was not stopped by hand.
func (c committed) running(i *spec.Instance) bool {
	return i.Status != spec.StatusStopped && !c.Stopped[i.Address]
}

func writeCommitted(fsys durable.FS, dir string, c committed) error {
	c.Checksum = durable.NoChecksum
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("committed generation %d: %w", c.Generation, err)
	}
	data = bytes.Replace(data, []byte(`"checksum":`), []byte(`"checksum": `), 1) // as Seal looks for it
	durable.Seal(data)
	return durable.WriteFile(fsys, filepath.Join(dir, control.Folder, committedFile), data, 0o600)
}

// DamagedError is a committed generation that does not read. It blocks nothing: the
// state says what should run, so the daemon keeps the file aside, comes up with
// nothing, and the next apply makes it whole.
type DamagedError struct {
	Path   string
	Reason error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is not usable: %v", e.Path, e.Reason)
}

func (e *DamagedError) Unwrap() error { return e.Reason }

// readCommitted returns the last committed generation; without one, or after it has
// put a damaged one aside, generation 0 with an empty configuration. It is for the
// daemon, which alone owns the file, and clears away what one that was killed left of it.
func readCommitted(fsys durable.FS, dir string) (committed, error) {
	if err := durable.RemoveTemps(fsys, filepath.Join(dir, control.Folder, committedFile)); err != nil {
		return committed{}, err
	}
	c, err := lookAtCommitted(fsys, dir)
	var damaged *DamagedError
	if !errors.As(err, &damaged) {
		return c, err
	}
	if _, err := durable.PutAside(fsys, damaged.Path); err != nil {
		return committed{}, errors.Join(damaged, err)
	}
	return newCommitted(control.Generation{}, &spec.Config{}), nil
}

// lookAtCommitted is readCommitted without effect: a damaged file is a
// *DamagedError.
func lookAtCommitted(fsys durable.FS, dir string) (committed, error) {
	path := filepath.Join(dir, control.Folder, committedFile)
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newCommitted(control.Generation{}, &spec.Config{}), nil
	}
	if err != nil {
		return committed{}, fmt.Errorf("committed generation: %w", err)
	}
	if err := durable.Unseal(data); err != nil {
		return committed{}, &DamagedError{path, err}
	}
	var c committed
	if err := json.Unmarshal(data, &c); err != nil {
		return committed{}, &DamagedError{path, err}
	}
	if c.FormatVersion != formatVersion {
		return committed{}, fmt.Errorf("%s: format version %q is not %q: it was written by another slbctl", path, c.FormatVersion, formatVersion)
	}
	return c, nil
}

// CommittedConfig returns what the daemon of dir would come back with, and what it runs
// if it does; nil when there is nothing. It changes nothing.
func CommittedConfig(dir string) (*spec.Config, control.Generation, error) {
	c, err := lookAtCommitted(durable.OS, dir)
	if err != nil || c.Generation == 0 {
		return nil, control.Generation{}, err
	}
	return c.Config, control.Generation{Generation: c.Generation, Hash: c.Hash}, nil
}

// Committed tells which generation the daemon of dir would come back with; ok is
// false when there is none yet. It changes nothing: a file that does not read is a
// *DamagedError.
func Committed(dir string) (g control.Generation, ok bool, err error) {
	c, err := lookAtCommitted(durable.OS, dir)
	if err != nil {
		return control.Generation{}, false, err
	}
	return control.Generation{Generation: c.Generation, Hash: c.Hash}, c.Generation > 0, nil
}
