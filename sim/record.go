package sim

import (
	"fmt"

	"slbctl/sim/trace"
	"slbctl/spec"
)

// recorded is perform, and makes a trace of what was sent and of which server took it.
func recorded(c *spec.Config, sim *spec.Simulation, opt Options) (*run, error) {
	to, err := trace.NewRecorder(opt.Record)
	if err != nil {
		return nil, err
	}
	x, observe := &recording{Recorder: to, sessions: map[[2]uint64]int{}}, opt.Observe
	opt.Observe = func(p Pick) {
		x.add(p)
		if observe != nil {
			observe(p)
		}
	}
	r, err := perform(c, sim, opt)
	if err != nil {
		x.Abort()
		return nil, err
	}
	return r, x.Close()
}

// recording is a trace in the making. A client's next session is another client there,
// since it has no cookie left.
type recording struct {
	*trace.Recorder
	sessions map[[2]uint64]int // by stream and client
}

func (x *recording) add(p Pick) {
	r := trace.Record{At: p.At, Client: p.Client.Source, Method: "GET", Host: p.Host, Path: p.Path, Server: p.Backend}
	if p.Path == "" { // a connection on L4
		r.Path = "/"
		x.Add(r)
		return
	}
	who := [2]uint64{uint64(p.Stream), p.Visitor}
	if p.First {
		x.sessions[who]++
	}
	r.Who, r.Status = fmt.Sprint(who, x.sessions[who]), p.Outcome.status()
	x.Add(r)
}

// Record makes a trace of a live run: what was sent, from where, and who has answered.
func (f *Forecast) Record(path string, replies []Reply) error {
	to, err := trace.NewRecorder(path)
	if err != nil {
		return err
	}
	x, s := &recording{Recorder: to, sessions: map[[2]uint64]int{}}, &seen{Forecast: f, run: f.run}
	for k := range replies {
		reply, told, call := &replies[k], &f.foretold[k], &f.Calls[k]
		if reply.Unsent {
			continue
		}
		p := Pick{At: told.at, Stream: told.stream, Visitor: told.visitor, First: told.first}
		p.Client.Source = reply.Source
		at, named := s.find(told, reply.Server)
		if named {
			p.Backend = f.run.pools[at.pool].Backends[at.server].Name
		}
		if p.Outcome = s.outcome(k, reply, named); spec.L7(f.Listener.Protocol) {
			p.Host, p.Path = call.Host, call.Path
		}
		x.add(p)
	}
	return x.Close()
}
