package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// Without is a configuration in which instances are lost: one by its resource address, or
// all of "zone=NAME". They are stopped, as the health checks would find them. An error
// says that there is nobody to lose.
func Without(c *spec.Config, losses ...string) (*spec.Config, error) {
	for _, loss := range losses {
		lossy, lost := lose(c, loss)
		if lost == 0 {
			return nil, fmt.Errorf("%s: there is no such instance, or zone of one, to be lost; write instance.NAME or zone=NAME", loss)
		}
		c = lossy
	}
	return c, nil
}

// lose is the configuration after a loss, and how many instances that is.
func lose(c *spec.Config, loss string) (lossy *spec.Config, lost int) {
	after := *c
	after.Instances = slices.Clone(c.Instances)
	for k, i := range after.Instances {
		if i.Lost(loss) {
			gone := *i
			gone.Status = spec.StatusStopped
			after.Instances[k] = &gone
			lost++
		}
	}
	return &after, lost
}

// Alternative is a simulation under another scheduler. JSON keys are in alphabetical order.
type Alternative struct {
	// ClientsMoved is the part of clients that change their server when the listener's
	// first one is lost, as a plan foresees it; null where clients have none of their own.
	ClientsMoved *float64 `json:"clients_moved"`
	Errors       int64    `json:"errors"`
	Latency      *Latency `json:"latency"` // null without a service block
	Requests     int64    `json:"requests"`
	Scheduler    string   `json:"scheduler"`
	// Spread is the most that a server's part of what was served differs from what wrr
	// would give it, both from 0 to 1.
	Spread float64 `json:"spread"`
}

// Comparison is one simulation under several schedulers, after its warm-up.
type Comparison struct {
	Alternatives []Alternative `json:"alternatives"`
	Name         string        `json:"name"`
	Seed         uint64        `json:"seed"`

	Results  []*Result `json:"-"` // what the alternatives are of
	listener string
}

// Compare replays the simulation of the given name once under each scheduler of its
// listener: the same arrivals, clients and faults. Rules that have a scheduler of their own
// keep it. A scheduler that the listener cannot have is an error, before anything is run.
func Compare(c *spec.Config, name string, schedulers []string, opt Options) (*Comparison, error) {
	var configs []*spec.Config
	for _, scheduler := range schedulers {
		other, err := scheduledBy(c, name, scheduler)
		if err != nil {
			return nil, err
		}
		configs = append(configs, other)
	}
	out := &Comparison{Name: name}
	for k, other := range configs {
		r, err := Run(other, name, opt)
		if err != nil {
			return nil, err
		}
		out.Seed, out.listener = r.Seed, r.listener.Address
		w := r.Windows[0]
		a := Alternative{Scheduler: schedulers[k], Errors: w.Errors, Requests: w.Requests, Latency: w.Latency}
		if a.Spread, err = spread(other, &w, r.listener.Address); err != nil {
			return nil, err
		}
		if a.ClientsMoved, err = movedByLoss(other, r.listener); err != nil {
			return nil, err
		}
		out.Alternatives, out.Results = append(out.Alternatives, a), append(out.Results, r)
	}
	return out, nil
}

// scheduledBy is the configuration with another scheduler at a simulation's listener.
func scheduledBy(c *spec.Config, name, scheduler string) (*spec.Config, error) {
	k := slices.IndexFunc(c.Simulations, func(s *spec.Simulation) bool { return s.Name == name })
	if k < 0 {
		return nil, fmt.Errorf("simulation %q does not exist", name)
	}
	s, out := c.Simulations[k], *c
	out.LoadBalancers = slices.Clone(c.LoadBalancers)
	for i, lb := range out.LoadBalancers {
		if lb.Address != s.Target {
			continue
		}
		other := *lb
		other.Listeners = slices.Clone(lb.Listeners)
		for j, sl := range other.Listeners {
			if sl.Name != s.Listener && (s.Listener != "" || len(lb.Listeners) > 1) {
				continue
			}
			if allowed := spec.SchedulersOf(sl.Protocol); !slices.Contains(allowed, scheduler) {
				return nil, fmt.Errorf("-compare: %s cannot schedule by %q; a listener of %s can by %s", sl.Address, scheduler, sl.Protocol, strings.Join(allowed, ", "))
			}
			changed := *sl
			changed.Scheduler = scheduler
			other.Listeners[j] = &changed
		}
		out.LoadBalancers[i] = &other
	}
	return &out, nil
}

// spread compares what the servers of the listener's own pool have served with what the
// core gives them by their weights alone.
func spread(c *spec.Config, w *Window, listener string) (float64, error) {
	seen, err := forecasts(c, nil)
	f, ok := seen.pools[listener]
	if err != nil || !ok {
		return 0, err
	}
	weighted := *f.Pool
	weighted.Scheduler = spec.SchedulerWRR
	most, served := 0.0, 0.0
	for _, b := range f.Backends {
		served += float64(servedBy(w, b.Name))
	}
	for i, share := range weighted.Table(f.health).Shares() {
		if served > 0 {
			most = max(most, math.Abs(float64(servedBy(w, f.Backends[i].Name))/served-share))
		}
	}
	return most, nil
}

func servedBy(w *Window, name string) int64 {
	for i := range w.Backends {
		if w.Backends[i].Address == name {
			return w.Backends[i].Requests
		}
	}
	return 0
}

// movedByLoss foresees what the loss of the listener's first server does to its clients.
func movedByLoss(c *spec.Config, l *balance.Listener) (*float64, error) {
	if len(l.Backends) == 0 || l.Backends[0].Instance == "" {
		return nil, nil
	}
	lossy, _ := lose(c, l.Backends[0].Instance)
	rows, err := Foresee(c, lossy)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Listener == l.Address {
			return rows[i].ClientsMoved, nil
		}
	}
	return nil, nil
}

// WriteComparisons writes a table for each simulation.
func WriteComparisons(w io.Writer, all []*Comparison) error {
	for i, c := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "simulation %q  to %s, seed %d\n", c.Name, c.listener, c.Seed)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "\trequests\terrors\tspread\tp50\tp99\tclients moved by a loss\t\n")
		for _, a := range c.Alternatives {
			p50, p99, moved := "-", "-", "-"
			if a.Latency != nil {
				p50, p99 = Brief(a.Latency.P50), Brief(a.Latency.P99)
			}
			if a.ClientsMoved != nil {
				moved = fmt.Sprintf("%.1f%%", 100**a.ClientsMoved)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t\n", a.Scheduler, a.Requests, a.Errors, fmt.Sprintf("%.2f%%", 100*a.Spread), p50, p99, moved)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// WriteComparisonsJSON writes the document of sim -compare -json.
func WriteComparisonsJSON(w io.Writer, all []*Comparison) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Comparisons   []*Comparison `json:"comparisons"`
		FormatVersion string        `json:"format_version"`
	}{all, "1.0"})
}
