package runtime

import (
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
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return fmt.Errorf("committed generation %d: %w", c.Generation, err)
	}
	durable.Seal(data)
	return durable.WriteFile(fsys, filepath.Join(dir, control.Folder, committedFile), data, 0o600)
}

// readCommitted returns the last committed generation; without one, generation 0
// with an empty configuration.
func readCommitted(fsys durable.FS, dir string) (committed, error) {
	path := filepath.Join(dir, control.Folder, committedFile)
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newCommitted(control.Generation{}, &spec.Config{}), nil
	}
	if err != nil {
		return committed{}, fmt.Errorf("committed generation: %w", err)
	}
	if err := durable.Unseal(data); err != nil {
		return committed{}, fmt.Errorf("%s: %w; remove it and apply again: the configuration and the state are elsewhere", path, err)
	}
	var c committed
	if err := json.Unmarshal(data, &c); err != nil {
		return committed{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.FormatVersion != formatVersion {
		return committed{}, fmt.Errorf("%s: format version %q is not %q: it was written by another slbctl", path, c.FormatVersion, formatVersion)
	}
	return c, nil
}

// Committed tells which generation the daemon of dir would come back with; ok is
// false when there is none yet.
func Committed(dir string) (g control.Generation, ok bool, err error) {
	c, err := readCommitted(durable.OS, dir)
	if err != nil {
		return control.Generation{}, false, err
	}
	return control.Generation{Generation: c.Generation, Hash: c.Hash}, c.Generation > 0, nil
}
