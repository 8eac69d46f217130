package webserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"slbctl/runtime/netloop"
)

// grace is how long the requests under way may take when their socket is closed.
const grace = 5 * time.Second

// fleet is all instances of one child.
type fleet struct {
	mu        sync.Mutex
	logs      string     // folder of the programs' output
	instances []Instance // as set last, without what they serve
	sockets   map[netip.AddrPort]*socket
	programs  map[netip.AddrPort]*program // by first endpoint
	closed    bool
	finishing sync.WaitGroup
}

// set makes the instances so, or changes nothing and names the endpoint that
// could not be had. When it returns, what is new accepts and what is gone refuses.
func (f *fleet) set(instances []Instance) error {
	next, err := compile(instances)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errors.New("web servers: already shut down")
	}
	// A program may hold a port that is a socket's from now on.
	gone := f.endPrograms(next.programs)
	fresh, err := f.bind(next.sites)
	if err != nil {
		f.startPrograms(gone)
		return err
	}
	f.swap(next.sites, fresh)
	f.startPrograms(next.programs)
	f.instances = make([]Instance, len(instances))
	for n, i := range instances {
		f.instances[n] = Instance{Address: i.Address, Endpoints: i.Endpoints, Running: i.Running, Draining: i.Draining}
	}
	return nil
}

// endPrograms stops the programs that are not wanted any more, or not like that, all at
// once, and tells which they were.
func (f *fleet) endPrograms(wanted map[netip.AddrPort]programSpec) map[netip.AddrPort]programSpec {
	gone := map[netip.AddrPort]programSpec{}
	var ending sync.WaitGroup
	for endpoint, p := range f.programs {
		if next, stays := wanted[endpoint]; stays && next.equal(p.programSpec) {
			continue
		}
		gone[endpoint] = p.programSpec
		delete(f.programs, endpoint)
		ending.Go(p.stop)
	}
	ending.Wait()
	return gone
}

// startPrograms starts those that do not run yet.
func (f *fleet) startPrograms(wanted map[netip.AddrPort]programSpec) {
	for endpoint, p := range wanted {
		if f.programs[endpoint] == nil {
			f.programs[endpoint] = p.start(f.logs)
		}
	}
}

// bind opens the sockets that the sites need and that are not there yet, or none.
func (f *fleet) bind(sites map[netip.AddrPort]*site) ([]*socket, error) {
	var fresh []*socket
	for _, endpoint := range slices.SortedFunc(maps.Keys(sites), netip.AddrPort.Compare) {
		s := sites[endpoint]
		if k := f.sockets[endpoint]; k != nil && k.fits(s) {
			continue
		}
		k, err := listen(endpoint, s)
		if err != nil {
			for _, k := range fresh {
				k.Close()
			}
			return nil, fmt.Errorf("%s: %w", s.instance, netloop.BindError(s.network(), endpoint, err))
		}
		fresh = append(fresh, k)
	}
	return fresh, nil
}

// swap puts the sites in place. Nothing in it can fail.
func (f *fleet) swap(sites map[netip.AddrPort]*site, fresh []*socket) {
	// Before any of them is in use: a site may serve at several endpoints.
	for endpoint, k := range f.sockets {
		k.site.Load().fault.succeed(sites[endpoint])
	}
	kept := make(map[netip.AddrPort]*socket, len(sites))
	for endpoint, k := range f.sockets {
		if s := sites[endpoint]; s != nil && k.fits(s) {
			k.site.Store(s)
			kept[endpoint] = k
		} else {
			f.retire(k)
		}
	}
	for _, k := range fresh {
		kept[k.endpoint] = k
		go k.run()
	}
	f.sockets = kept
}

// retire closes a socket at once and ends its connections in the background.
func (f *fleet) retire(k *socket) {
	k.Close()
	k.site.Load().fault.succeed(nil) // who is held up must not hold up the end
	f.finishing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		k.finish(ctx)
	})
}

func (f *fleet) status() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Status, len(f.instances))
	for n, i := range f.instances {
		all[n] = Status{Address: i.Address, Endpoints: i.Endpoints, Running: i.Running, Draining: i.Draining}
	}
	return all
}

// close ends everything and returns when the last connection is gone.
func (f *fleet) close() {
	f.mu.Lock()
	f.endPrograms(nil)
	f.swap(nil, nil)
	f.instances = nil
	f.closed = true
	f.mu.Unlock()
	f.finishing.Wait()
}
