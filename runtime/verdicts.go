package runtime

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/health"
)

// verdictsFile holds what is known of the servers, so that a daemon that comes back
// need not find out anew. It is a help and no record: nothing is lost with it, so it
// is not synced, and one that does not read counts as none.
const verdictsFile = "health.json"

// noteDelay gathers the verdicts of a moment into one write.
const noteDelay = 200 * time.Millisecond

// noteVerdicts writes the verdicts down soon. The caller holds mu.
func (e *engine) noteVerdicts() {
	if e.noting == nil {
		e.noting = time.AfterFunc(noteDelay, e.writeVerdicts)
	}
}

func (e *engine) writeVerdicts() {
	e.mu.Lock()
	pending := e.noting
	e.noting = nil
	e.mu.Unlock()
	if pending == nil {
		return
	}
	pending.Stop()
	data, err := json.Marshal(e.prober.Snapshot())
	path := filepath.Join(e.dir, control.Folder, verdictsFile)
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		_ = os.Remove(path + ".new") // what there is of it takes space that is short
		e.log.Error("write down what is known of the servers", "error", err)
	}
}

func readVerdicts(dir string) []health.Event {
	data, err := os.ReadFile(filepath.Join(dir, control.Folder, verdictsFile))
	if err != nil {
		return nil
	}
	var known []health.Event
	if json.Unmarshal(data, &known) != nil {
		return nil
	}
	return known
}
