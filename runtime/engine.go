package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/dns"
	"slbctl/runtime/durable"
	"slbctl/runtime/health"
	"slbctl/runtime/metrics"
	"slbctl/runtime/proxy"
	"slbctl/runtime/tlsconf"
	"slbctl/spec"
)

// engine is the daemon's state. Two locks keep it: busy is held for the whole of
// a change (an apply, an instance stopped by hand), mu for the moments in which
// fields are read or swapped. The data path takes neither.
type engine struct {
	dir    string
	folder *os.File // .slbctl, open so that socket paths stay short
	log    *slog.Logger
	exe    string
	// version is the program's.
	version string
	// foreground: somebody waits for the end of this process; see outlive.
	foreground bool
	started    time.Time
	life       context.Context // ends when the daemon is to end
	shutdown   context.CancelFunc

	busy  chan struct{} // one token: held by the change under way
	moved chan struct{} // closed when a successor has taken over
	// What the daemon is reached and known by. A successor gets both.
	lock    pidLock
	control *control.Socket
	bond    *bond // to the successor, once it has taken over

	mu        sync.Mutex
	live      committed
	listeners map[string]*listener      // of the live generation, by address
	quotas    map[string]*balance.Quota // likewise, by load balancer
	sockets   map[place]socket
	logs      map[string]*proxy.AccessLog // by path
	drained   []string                    // by hand, sorted; only changed by who holds busy
	aside     map[string]*aside           // by address as balance.Drained takes it; likewise
	attempt   *attempt                    // nil = none; likewise
	verdicts  map[target]health.Event
	probed    map[target]bool
	changed   chan struct{} // closed and replaced at every verdict and drain
	drains    []*drain
	names     *dns.Server
	page      *metrics.Page // of /metrics; nil = nowhere
	problems  []string      // what could not be brought back at the start
	elders    []*elder      // processes before this one that finish what they have
	// From the process before, while this one is taking over: sockets that nobody has
	// adopted yet, and what listeners had counted.
	inherited map[place][]int
	bequest   map[string]heritedListener
	// told is what a successor knows of the listeners.
	told     map[string]heritedListener
	noting   *time.Timer // writes the verdicts down; nil = nothing new
	security *security   // of the live generation
	renewal  *time.Timer // looks at the certificates of the local CA; nil = there are none

	fleet   *fleet
	faults  faults
	prober  *health.Prober
	tickets *tlsconf.Tickets
	now     func() time.Time // the wall clock, which only certificates are held against
	// balancer is made at the first apply, which says how many loops it has.
	balancer *proxy.Server
}

// place is where a listener listens: TCP and UDP have ports of their own.
type place struct {
	udp      bool
	endpoint netip.AddrPort
}

func placeOf(l *balance.Listener) place { return place{l.Protocol == spec.ProtocolUDP, l.Endpoint} }

// socket is a proxy.Socket or a proxy.UDPSocket.
type socket interface {
	Serve(*proxy.Handler)
	Close() error
	Descriptors() []int
	Pause()
	Resume()
	Leave()
	Spread() error
}

// target names one probed server: a backend that moves to another endpoint is
// another one and has to prove itself again.
type target struct {
	owner    string // of the pool: a listener's or a rule's address
	backend  string
	endpoint netip.AddrPort
}

// listener is one live listener: what was compiled, what survives between picks,
// and the handler that takes its connections. States and tables are by index in
// spec.Pools().
type listener struct {
	spec    *balance.Listener
	states  []*balance.State
	tables  []*balance.Table
	handler *proxy.Handler
	// sessions says, by index in the pool's Backends, until when a server of weight 0
	// keeps its sticky sessions.
	sessions [][]time.Time
	warming  *time.Timer // rebuilds the tables at the next step of a slow start, or when sessions end; nil = neither
}

func newEngine(life context.Context, dir string, opt Options, shutdown context.CancelFunc) (*engine, error) {
	folder, err := os.Open(filepath.Join(dir, control.Folder))
	if err != nil {
		return nil, fmt.Errorf("runtime folder: %w", err)
	}
	e := &engine{
		dir: dir, folder: folder, log: opt.Log, exe: opt.Executable, version: opt.Version, foreground: opt.Foreground,
		started: time.Now(), life: life, shutdown: shutdown,
		busy:      make(chan struct{}, 1),
		moved:     make(chan struct{}),
		live:      newCommitted(control.Generation{}, &spec.Config{}),
		listeners: map[string]*listener{},
		sockets:   map[place]socket{},
		logs:      map[string]*proxy.AccessLog{},
		verdicts:  map[target]health.Event{},
		changed:   make(chan struct{}),
		security:  &security{},
		tickets:   tlsconf.NewTickets(),
		now:       time.Now,
	}
	e.fleet = newFleet(e)
	e.prober = health.New(e.observe)
	return e, nil
}

// close ends everything the engine runs, the instances too: they go when the
// daemon is told to, and stay only when it is killed. A change under way is
// withdrawn first, since life has ended. When another process has taken over they are
// that one's.
func (e *engine) close() error {
	select {
	case e.busy <- struct{}{}:
	case <-e.moved:
		return e.folder.Close()
	}
	e.writeVerdicts()
	e.scheduleRenewal(false)
	e.faults.stop()
	e.stopExperiments()
	e.prober.Close()
	e.dismissElders()
	return errors.Join(e.endDataPath(), e.fleet.shutdown(), e.folder.Close())
}

// endDataPath ends whatever clients are connected to.
func (e *engine) endDataPath() error {
	e.mu.Lock()
	names, page := e.names, e.page
	e.mu.Unlock()
	var errs []error
	if page != nil {
		errs = append(errs, page.Close()) // before what it tells of
	}
	if names != nil {
		errs = append(errs, names.Close())
	}
	if e.balancer != nil {
		errs = append(errs, e.balancer.Close())
	}
	for _, log := range e.logs {
		errs = append(errs, log.Close())
	}
	return errors.Join(errs...)
}

// hold takes the right to change the engine.
func (e *engine) hold(ctx context.Context) error {
	select {
	case e.busy <- struct{}{}:
		return nil
	case <-e.moved:
		return errMoved
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *engine) release() { <-e.busy }

func (e *engine) current() committed {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.live
}

// Generation implements control.Engine.
func (e *engine) Generation(ctx context.Context) (control.Generation, error) {
	if err := e.hold(ctx); err != nil {
		return control.Generation{}, err
	}
	defer e.release()
	live := e.current()
	if e.attempt != nil {
		live = e.attempt.before
	}
	return control.Generation{Generation: live.Generation, Hash: live.Hash}, nil
}

// Shutdown implements control.Engine.
func (e *engine) Shutdown() { e.shutdown() }

// SetInstance implements control.Engine: it stops or starts one instance by hand.
// The next plan shows it, and the next apply ends it.
func (e *engine) SetInstance(ctx context.Context, address string, running bool) error {
	if err := e.hold(ctx); err != nil {
		return err
	}
	defer e.release()
	if err := e.tried(); err != nil {
		return err
	}
	before := e.current()
	if before.Config.Instance(address) == nil {
		return &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("%s does not run here: `slbctl status` lists the instances", address)}
	}
	after := before.withStopped(address, !running)
	if err := e.setInstances(after); err != nil {
		return err
	}
	if err := writeCommitted(durable.OS, e.dir, after); err != nil {
		return errors.Join(err, e.setInstances(before))
	}
	e.mu.Lock()
	e.live = after
	e.mu.Unlock()
	e.log.Info("instance set by hand", "address", address, "running", running)
	return nil
}

// setInstances makes the instances so. Who has asked for it may be gone meanwhile, and what he asked for half
// done would be nobody's: it has a time of its own.
func (e *engine) setInstances(live committed) error {
	ctx, cancel := context.WithTimeout(e.life, stopPatience)
	defer cancel()
	return e.fleet.set(ctx, e.wanted(live))
}

// observe takes a verdict of the prober and gives every table that it concerns a
// new one.
func (e *engine) observe(ev health.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := target{ev.Listener, ev.Backend, ev.Endpoint}
	if !e.probed[t] {
		return // a late report on a server that is not asked about any more
	}
	e.verdicts[t] = ev
	if l := e.listenerOf(ev.Listener); l != nil {
		e.retable(l)
		l.drainSick(ev)
	}
	e.noteVerdicts()
	e.broadcast()
	e.log.Info("health", "listener", ev.Listener, "backend", ev.Backend, "health", ev.Health.String(), "reason", ev.Reason)
}

// retable rebuilds a listener's tables from the verdicts, and again at the next step
// of a server that starts slowly, or when the sessions of one of weight 0 end. The
// caller holds mu.
func (e *engine) retable(l *listener) {
	if l.warming != nil {
		l.warming.Stop()
		l.warming = nil
	}
	now := time.Now()
	var next time.Duration
	pools := l.spec.Pools()
	l.tables = make([]*balance.Table, len(pools))
	for n, p := range pools {
		l.tables[n] = p.TableWarm(
			func(i int) balance.Health { return e.verdicts[targetOf(p, i)].Health },
			func(i int) int {
				step, wait := p.Warmth(now.Sub(e.verdicts[targetOf(p, i)].Since))
				if p.Backends[i].Weight == 0 {
					if step, wait = 0, l.sessions[n][i].Sub(now); wait > 0 {
						step = balance.Warm
					}
				}
				if wait > 0 && (next == 0 || wait < next) {
					next = wait
				}
				return step
			})
		l.handler.SetTable(n, l.tables[n])
	}
	if next > 0 {
		l.warming = time.AfterFunc(next, func() { e.warm(l) })
	}
}

// keepSessions gives the servers whose weight becomes 0 the time of a drain for their
// sticky sessions. prev is the listener before, or nil.
func (l *listener) keepSessions(prev *listener) {
	end := time.Now().Add(l.spec.Drain)
	for _, p := range l.spec.Pools() {
		until := make([]time.Time, len(p.Backends))
		for i, b := range p.Backends {
			if b.Weight > 0 {
				continue
			}
			if before, sessions := prev.backend(p.Owner, b.Name); before != nil && before.Endpoint == b.Endpoint {
				if until[i] = end; before.Weight == 0 {
					until[i] = sessions
				}
			}
		}
		l.sessions = append(l.sessions, until)
	}
}

// backend finds a server of one of the listener's pools, and until when it keeps its
// sticky sessions if its weight is 0.
func (l *listener) backend(owner, name string) (*balance.Backend, time.Time) {
	if l == nil {
		return nil, time.Time{}
	}
	for n, p := range l.spec.Pools() {
		for i := range p.Backends {
			if p.Owner == owner && p.Backends[i].Name == name {
				return &p.Backends[i], l.sessions[n][i]
			}
		}
	}
	return nil, time.Time{}
}

// warm is the next step of a slow start, or the end of sessions.
func (e *engine) warm(l *listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listeners[l.spec.Address] == l && e.life.Err() == nil {
		e.retable(l)
	}
}

// broadcast wakes who waits for a verdict or a drain. The caller holds mu.
func (e *engine) broadcast() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// await returns when ok says so, which it does under mu, or when ctx ends or another
// process has taken over.
func (e *engine) await(ctx context.Context, ok func() bool) error {
	for {
		e.mu.Lock()
		done, changed := ok(), e.changed
		e.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-e.moved:
			return errMoved
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drainSick gives the connections to a server that fell ill the time of a drain to end
// by themselves, as the product does, unless it gets well meanwhile.
func (l *listener) drainSick(ev health.Event) {
	for _, p := range l.spec.Pools() {
		for i, b := range p.Backends {
			if p.Owner != ev.Listener || b.Name != ev.Backend || b.CheckEndpoint != ev.Endpoint {
				continue
			}
			switch table := l.tables[slices.Index(l.spec.Pools(), p)]; {
			case b.Drained: // whoever drained it waits for its connections to end
			case ev.Health == balance.Normal:
				l.handler.Keep(p.Owner, b.Name, b.Endpoint)
			case ev.Health == balance.Abnormal && table.Shares()[i] == 0:
				l.handler.Drain(p.Owner, b.Name, b.Endpoint, time.Now().Add(l.spec.Drain))
			}
		}
	}
}

// listenerOf returns the live listener that has the pool of an owner, or nil. The
// caller holds mu.
func (e *engine) listenerOf(owner string) *listener {
	if l := e.listeners[owner]; l != nil {
		return l
	}
	return e.listeners[spec.Parent(owner)] // the owner is a rule
}

func targetOf(p *balance.Pool, i int) target {
	owner, name := p.KnownAs(i)
	return target{owner: owner, backend: name, endpoint: p.Backends[i].CheckEndpoint}
}
