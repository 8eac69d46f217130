package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/spec"
)

// overridesFile holds what was drained by hand. No apply, rollback or restart ends that.
const overridesFile = "overrides"

// overrides are the servers that get nothing new, whatever the configuration says.
type overrides struct {
	Checksum      string   `json:"checksum"` // durable.Seal; the first key
	FormatVersion string   `json:"format_version"`
	Drained       []string `json:"drained"` // addresses as balance.Drained takes them, sorted
}

// Drained lists what was drained by hand in a working folder, sorted.
func Drained(dir string) ([]string, error) {
	path := filepath.Join(dir, control.Folder, overridesFile)
	data, err := durable.OS.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var o overrides
	if err == nil {
		err = durable.Unseal(data)
	}
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s, which says what was drained by hand, is not usable: %w; without the file nothing is drained", path, err)
	}
	return o.Drained, nil
}

func writeDrained(fsys durable.FS, dir string, drained []string) error {
	o := overrides{Checksum: durable.NoChecksum, FormatVersion: formatVersion, Drained: drained}
	data, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	durable.Seal(data)
	return durable.WriteFile(fsys, filepath.Join(dir, control.Folder, overridesFile), data, 0o600)
}

// SetDrained implements control.Engine: it takes a server out softly, or lets it back.
// That is on disk before it happens.
func (e *engine) SetDrained(ctx context.Context, address string, drained bool) (control.DrainResult, error) {
	if err := e.hold(ctx); err != nil {
		return control.DrainResult{}, err
	}
	defer e.release()
	if err := e.tried(); err != nil {
		return control.DrainResult{}, err
	}
	compiled, err := balance.Compile(e.current().Config)
	if err != nil {
		return control.DrainResult{}, err
	}
	next, err := changeDrained(compiled, e.drained, address, drained)
	if err != nil {
		return control.DrainResult{}, err
	}
	balance.Drained(compiled, e.out(next, nil))
	if err := writeDrained(durable.OS, e.dir, next); err != nil {
		return control.DrainResult{}, err
	}
	e.setDrained(next)
	result := control.DrainResult{Unserved: append([]string{}, balance.Unserved(compiled)...)}
	old := e.reweigh(compiled)
	result.Backends = e.followDrain(old)
	e.log.Info("drained by hand", "address", address, "drained", drained, "backends", result.Backends)
	return result, nil
}

// changeDrained adds an address to what is drained or takes it from there.
func changeDrained(compiled []*balance.Listener, now []string, address string, drained bool) ([]string, error) {
	i, there := slices.BinarySearch(now, address)
	if !drained {
		if !there {
			return nil, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("%s is not drained%s", address, listed("; drained by hand: ", now))}
		}
		return slices.Delete(slices.Clone(now), i, i+1), nil
	}
	if unknown := balance.Drained(compiled, []string{address}); unknown != nil {
		return nil, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("%s is behind no listener%s", address, listed("; what can be drained: ", serversOf(compiled)))}
	}
	if there {
		return now, nil
	}
	return slices.Insert(slices.Clone(now), i, address), nil
}

// listed ends a message with a list that is not too long.
func listed(intro string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	if len(names) > 10 {
		names = append(slices.Clone(names[:10]), "…")
	}
	return intro + strings.Join(names, ", ")
}

// serversOf lists the addresses that drain takes: instances, then backends.
func serversOf(compiled []*balance.Listener) []string {
	instances, backends := map[string]bool{}, map[string]bool{}
	for _, l := range compiled {
		for _, p := range l.Pools() {
			for i := range p.Backends {
				b := &p.Backends[i]
				backends[b.Address(p.Group)] = true
				if b.Instance != "" {
					instances[b.Instance] = true
				}
			}
		}
	}
	sorted := func(m map[string]bool) []string {
		return slices.SortedFunc(maps.Keys(m), spec.CompareAddresses)
	}
	return append(sorted(instances), sorted(backends)...)
}

// reweigh makes compiled listeners the live ones, which differ from those in nothing but
// weights, and returns those.
func (e *engine) reweigh(compiled []*balance.Listener) map[string]*listener {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.listeners
	e.quotas = balance.NewQuotas(compiled, e.quotas)
	next := make(map[string]*listener, len(compiled))
	for _, s := range compiled {
		if prev := old[s.Address]; prev != nil {
			s.Serving = prev.spec.Serving // what a daemon that came back had to go without
		}
		l := e.succeed(s, old[s.Address], e.security.configs[s.Address], nil)
		e.retable(l)
		next[s.Address] = l
	}
	e.serve(next)
	return old
}

// followDrain gives what servers still have the time of a drain, where they got drained,
// and takes that back where they are not any more. It returns how many that were.
func (e *engine) followDrain(old map[string]*listener) (changed int) {
	var leaving []draining
	for address, l := range e.listeners {
		until := time.Now().Add(l.spec.Drain)
		for _, p := range l.spec.Pools() {
			for _, b := range p.Backends {
				was, _ := old[address].backend(p.Owner, b.Name)
				switch {
				case was == nil || was.Drained == b.Drained:
					continue
				case b.Drained:
					done := l.handler.Drain(p.Owner, b.Name, b.Endpoint, until)
					leaving = append(leaving, draining{of: l, pool: p.Owner, backend: b.Name, until: until, done: done})
				default:
					l.handler.Keep(p.Owner, b.Name, b.Endpoint)
					e.tellElders(order{Owner: p.Owner, Backend: b.Name, Endpoint: b.Endpoint})
				}
				changed++
			}
		}
	}
	if len(leaving) > 0 {
		e.begin(&drain{backends: leaving})
	}
	return changed
}

// renameDrained follows what goes on under another address. What is written down has the
// old addresses too: nothing goes by them if the change is withdrawn or cut off.
func (e *engine) renameDrained(renamed map[string]string) ([]string, error) {
	both := slices.Clone(e.drained)
	for _, a := range e.drained {
		both = append(both, spec.RenameServer(a, renamed))
	}
	slices.Sort(both)
	both = slices.Compact(both)
	if slices.Equal(both, e.drained) {
		return e.drained, nil
	}
	return both, writeDrained(durable.OS, e.dir, both)
}

// forgetOldNames takes the old addresses from what is drained, once they are gone.
func (e *engine) forgetOldNames(renamed map[string]string) {
	if len(renamed) == 0 {
		return
	}
	var next []string
	for _, a := range e.drained {
		if spec.RenameServer(a, renamed) == a {
			next = append(next, a)
		}
	}
	if slices.Equal(next, e.drained) {
		return
	}
	if err := writeDrained(durable.OS, e.dir, next); err != nil {
		e.log.Error("drained by hand", "error", err)
		return
	}
	e.setDrained(next)
}

// setDrained notes what is drained by hand. The caller holds busy; whoever asks how things stand does not.
func (e *engine) setDrained(drained []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drained = drained
}
