package runtime

import (
	"context"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
)

// restorePatience bounds how long a daemon that comes back waits for the first
// verdicts before it serves: servers that are well answer within milliseconds,
// and one that does not must not hold up the others.
const restorePatience = time.Second

// restore brings back the last committed generation. Connections that arrive
// before its servers have proved well wait in the sockets' queues.
func (e *engine) restore(ctx context.Context) error {
	saved, err := readCommitted(durable.OS, e.dir)
	if err != nil {
		return err
	}
	c := &change{
		before: e.live, after: saved, old: map[string]*listener{}, sick: map[target]bool{},
		req:  control.Request{Generation: saved.Generation, Config: saved.Config},
		emit: func(ev control.Event) { e.log.Info("restore", "address", ev.Address, "step", ev.Message) },
	}
	short, cancel := context.WithTimeout(ctx, restorePatience)
	defer cancel()
	if err := e.prepare(short, c); err != nil {
		return err
	}
	if err := e.commit(ctx, c); err != nil {
		return err
	}
	e.live = saved
	e.retireNames(c)
	return nil
}
