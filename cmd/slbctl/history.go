package main

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime/control"
)

// stateHistoryCmd lists the earlier states that are kept.
type stateHistoryCmd struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

// historyEntry is one earlier state. JSON keys are in alphabetical order.
type historyEntry struct {
	Added      int    `json:"added"`
	Changed    int    `json:"changed"`
	Current    bool   `json:"current"` // it is what is recorded now
	Damaged    bool   `json:"damaged"` // it does not read
	Destroyed  int    `json:"destroyed"`
	Generation uint64 `json:"generation"`
	Lineage    string `json:"lineage"`
	Live       bool   `json:"live"`     // the runtime runs this
	Recorded   string `json:"recorded"` // RFC 3339
	Resources  int    `json:"resources"`
	Serial     uint64 `json:"serial"`
}

func (c *stateHistoryCmd) Run(s *session) error {
	entries, err := s.history()
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.stdout, struct {
			FormatVersion string         `json:"format_version"`
			History       []historyEntry `json:"history"`
		}{planner.FormatVersion, entries})
	}
	if len(entries) == 0 {
		s.note("No history: nothing has been applied in this folder yet.")
		return nil
	}
	return writeHistory(s.stdout, entries)
}

// history compares each earlier state with the one of its lineage before it. Of the
// oldest that is kept it is not known what it has changed: all counts as added.
func (s *session) history() ([]historyEntry, error) {
	store := s.store()
	now, err := store.Read(live)
	if err != nil {
		return nil, err
	}
	runs, err := s.running()
	if err != nil {
		return nil, err
	}
	serials, err := store.History()
	if err != nil {
		return nil, err
	}
	entries := []historyEntry{}
	last := map[string]*state.State{}
	for _, n := range serials {
		at, err := store.HistoryTime(n)
		if err != nil {
			return nil, err
		}
		e := historyEntry{Serial: n, Recorded: at.UTC().Format(time.RFC3339)}
		st, err := store.LoadHistory(n)
		var corrupt *state.CorruptError
		switch {
		case errors.As(err, &corrupt):
			e.Damaged = true
		case err != nil:
			return nil, err
		default:
			counts := planner.Between(last[st.Lineage], st)
			e.Resources, e.Added, e.Changed, e.Destroyed = counts.Resources, counts.Added, counts.Changed, counts.Destroyed
			e.Generation, e.Lineage = st.Generation, st.Lineage
			e.Current = now != nil && st.Lineage == now.Lineage && st.Serial == now.Serial
			e.Live = runs.Generation > 0 && st.Generation == runs.Generation && st.ConfigHash == runs.Hash
			last[st.Lineage] = st
		}
		entries = append(entries, e)
	}
	onlyNewestLive(entries)
	return entries, nil
}

// onlyNewestLive leaves the mark where it belongs when several states are about one
// generation: outputs change without the runtime.
func onlyNewestLive(entries []historyEntry) {
	found := false
	for i := len(entries) - 1; i >= 0; i-- {
		entries[i].Live = entries[i].Live && !found
		found = found || entries[i].Live
	}
}

// running is what the daemon has committed to, nothing when it does not run.
func (s *session) running() (control.Generation, error) {
	client, err := control.Dial(workingFolder)
	if errors.Is(err, control.ErrNotRunning) {
		return control.Generation{}, nil
	}
	if err != nil {
		return control.Generation{}, err
	}
	return client.Generation(s.ctx)
}

func writeHistory(w io.Writer, entries []historyEntry) error {
	rows := [][]cell{plain("serial", "recorded", "generation", "resources", "added", "changed", "destroyed", "")}
	for _, e := range entries {
		row := []string{strconv.FormatUint(e.Serial, 10), e.Recorded, strconv.FormatUint(e.Generation, 10)}
		for _, n := range []int{e.Resources, e.Added, e.Changed, e.Destroyed} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, plain(append(row, e.mark())...))
	}
	var b strings.Builder
	writeTable(&b, "", rows)
	_, err := io.WriteString(w, b.String())
	return err
}

// mark says whether an entry is what is recorded now, or runs, or both.
func (e *historyEntry) mark() string {
	switch {
	case e.Damaged:
		return "damaged"
	case e.Current && e.Live:
		return "live"
	case e.Current:
		return "recorded, and not what runs"
	case e.Live:
		return "runs"
	}
	return ""
}
