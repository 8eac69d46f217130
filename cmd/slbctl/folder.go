package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime"
	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/spec"
)

// workingFolder is the folder that a command works in: the current one.
const workingFolder = "."

// portOffsetVariable wins over the configuration's port_offset.
const portOffsetVariable = "SLBCTL_PORT_OFFSET"

func (s *session) store() *state.Store {
	return state.Open(durable.OS, workingFolder, s.statePath)
}

// live says what the runtime has committed to. It is asked also after an
// interrupt, so it does not end with the session. A daemon that is down and cannot
// come back with what it ran has committed to nothing: it will start with nothing.
func live() (generation uint64, hash string, err error) {
	var g control.Generation
	client, err := control.Dial(workingFolder)
	if err == nil {
		g, err = client.Generation(context.Background())
	}
	if errors.Is(err, control.ErrNotRunning) {
		g, _, err = committed()
	}
	return g.Generation, g.Hash, err
}

// recorded reads the state for a command that only looks; nil means none.
func (s *session) recorded() (*state.State, error) { return s.store().Read(live) }

// needState is recorded for a command that makes no sense without one.
func (s *session) needState() (*state.State, error) {
	st, err := s.recorded()
	if err != nil || st != nil {
		return st, err
	}
	if g, ok, err := runtime.Committed(workingFolder); err == nil && ok { // a file that does not read is no news here
		return nil, fmt.Errorf("no state, though the runtime has generation %d: `slbctl state recover` records it again, and so does the next apply", g.Generation)
	}
	return nil, errNoState
}

var errNoState = errors.New("no state: nothing has been applied in this folder yet")

// configured is the configuration, with the addresses that are recorded; what it warns of is told.
func (s *session) configured(v variableFlags) (*spec.Config, error) {
	st, err := s.recorded()
	if err != nil {
		return nil, err
	}
	config, diags, err := load(v, st)
	if err != nil {
		return nil, err
	}
	s.warn(diags)
	return config, nil
}

// load reads the configuration, with the addresses that the state has recorded.
func load(v variableFlags, st *state.State) (*spec.Config, spec.Diagnostics, error) {
	opt := spec.Options{VarFiles: v.VarFile, Environ: os.Environ(), Recorded: st.Recorded(), Now: time.Now()}
	for _, a := range v.Var {
		opt.Vars = append(opt.Vars, string(a))
	}
	if text := os.Getenv(portOffsetVariable); text != "" {
		offset, err := strconv.Atoi(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s=%q is not a whole number", portOffsetVariable, text)
		}
		opt.PortOffset = &offset
	}
	config, diags := spec.Load(workingFolder, opt)
	if diags.HasErrors() {
		return nil, diags, diags
	}
	return config, diags, nil
}

// hasConfiguration says whether the folder has a configuration's files.
func hasConfiguration() (bool, error) {
	names, err := configurationFiles()
	return len(names) > 0, err
}

func configurationFiles() ([]string, error) { return filesIn(".") }

// filesIn lists the files of a configuration or a module.
func filesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var all []string
	for _, suffix := range []string{".slb.hcl", ".slb.json"} {
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), suffix) {
				all = append(all, filepath.Join(folder, e.Name()))
			}
		}
	}
	return all, nil
}

// ground is what a plan stands on, while the state is locked.
type ground struct {
	store    *state.Store
	state    *state.State // nil = none
	config   *spec.Config // nil without configuration
	earlier  *state.State // what a rollback goes back to
	warnings []string
	notes    []string
	seen     planner.Observed
	runtime  *daemon
	unlock   func() error
}

// need says what a command wants of the configuration's files.
type need int

const (
	needed  need = iota // without them it fails
	helpful             // it can do without
	unused              // it does not read them
)

// prepare reads the configuration, locks and recovers the state, and looks at
// the runtime. Nothing is written before the configuration has proved right.
func (s *session) prepare(v variableFlags, lockTimeout patienceValue, files need) (g *ground, err error) {
	// A second processor would do little but collect more often.
	goruntime.GOMAXPROCS(1)
	letHeapGrow()
	g = &ground{store: s.store(), runtime: &daemon{}}
	if g.state, err = g.store.Read(live); err != nil {
		return nil, err
	}
	if err := g.load(v, files); err != nil {
		return nil, err
	}
	if g.unlock, err = g.lock(s, lockTimeout); err != nil {
		return nil, err
	}
	if err := g.settle(s.ctx, v, files); err != nil {
		return nil, errors.Join(err, g.unlock())
	}
	return g, nil
}

func (g *ground) lock(s *session, patience patienceValue) (unlock func() error, err error) {
	return g.store.Lock(s.ctx, state.Self(s.command), time.Duration(patience))
}

// settle brings record and runtime together, now that nobody else changes them.
func (g *ground) settle(ctx context.Context, v variableFlags, files need) error {
	read := g.state
	warning, err := g.recall()
	if err != nil {
		return err
	}
	st := g.state
	if serialOf(st) != serialOf(read) || (st == nil) != (read == nil) {
		if err := g.load(v, files); err != nil {
			return err
		}
	}
	if warning != "" {
		g.warnings = append(g.warnings, warning)
	}
	if g.config != nil && (st == nil || len(g.config.Secrets) > 0) {
		key, err := g.store.Key()
		if err != nil {
			return err
		}
		g.config.Seal(key)
		// The first state's seed comes from the folder's secret, so that clients
		// cannot know it and two plans of the same folder are the same.
		if st == nil {
			g.config.Seed = binary.LittleEndian.Uint64(key)
		}
	}
	g.seen, err = g.runtime.Observe(ctx)
	if g.runtime.warning != "" {
		g.warnings = append(g.warnings, g.runtime.warning)
	}
	return err
}

// recall finds out what is recorded, and finishes what a killed process has left of it.
func (g *ground) recall() (warning string, err error) {
	var unsaved *state.UnsavedError
	if g.state, _, err = g.store.Recover(live); errors.As(err, &unsaved) {
		return unsaved.Error(), nil // whoever goes on to change something meets it there
	}
	if err != nil {
		return "", err
	}
	if g.state == nil {
		return g.adopt()
	}
	return g.store.Misplaced(g.state)
}

func (g *ground) load(v variableFlags, files need) error {
	switch files {
	case unused:
		return nil
	case helpful:
		if has, err := hasConfiguration(); err != nil || !has {
			return err
		}
	}
	config, diags, err := load(v, g.state)
	if err != nil {
		return err
	}
	g.config, g.warnings = config, nil
	for _, d := range diags {
		g.warnings = append(g.warnings, warningLine(d))
	}
	return nil
}

// warningLine is a diagnostic on one line, for the end of a plan.
func warningLine(d spec.Diagnostic) string {
	text := d.Summary
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	if d.Range != nil {
		text += fmt.Sprintf(" (%s line %d)", d.Range.Filename, d.Range.Start.Line)
	}
	return text
}

func serialOf(st *state.State) uint64 {
	if st == nil {
		return 0
	}
	return st.Serial
}
