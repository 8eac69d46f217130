package sim

import (
	"net/netip"

	"slbctl/spec"
)

// block is connections that are looked at together, since nothing but them happens meanwhile: the steps of many,
// which wait for memory and multiplications, overlap where those of one follow one another.
type block struct {
	sources [blockSize]netip.AddrPort
	picked  [blockSize]uint16 // their servers
}

const blockSize = 128

// addBlock prepares for blocks if connections take no time and nobody is to know of each of them.
func (r *run) addBlock() {
	l := r.last.listener
	if r.visits == nil && r.service == nil && !r.live && !r.limited && r.observe == nil && r.moves == nil &&
		r.serving.listener.PersistenceTimeout == 0 && l.PersistenceTimeout == 0 {
		r.block = &block{}
	}
}

// inTurn reports whether connections are served in turn until something happens: none of them has to wait, and none
// that has to try a second server changes anything for the others.
func (r *run) inTurn() bool {
	if r.block == nil || !r.listener.Serving {
		return false
	}
	if !r.looked {
		r.looked, r.fine = true, r.sound()
	}
	return r.fine
}

// sound reports whether all servers in the table are fine, or at most refuse those whom a hash sends to them.
func (r *run) sound() bool {
	p := &r.pools[r.serving.base]
	r.refuse = false
	for i := range p.Backends {
		s := &r.servers[p.first+i]
		if s.fine || !p.table.Picks(i) {
			continue
		}
		if s.answer() != refuses || r.listener.Protocol == spec.ProtocolUDP || !p.table.ByClient(p.state) {
			return false
		}
		r.refuse = true
	}
	return true
}

// arriveInTurn lets connections come until the given time, or as many as a block has: what arrive does for each.
func (r *run) arriveInTurn(until int64) {
	n := r.gather(until)
	r.requests += int64(n)
	p := &r.pools[r.serving.base]
	for from := 0; from < n; from++ {
		picked := r.block.picked[from:n]
		picked = picked[:p.table.PickInTurn(p.state, r.coming.client.Destination, r.block.sources[from:n], picked)]
		if r.refuse {
			r.tryInTurn(p, r.block.sources[from:], picked)
		} else {
			r.serveInTurn(p, picked)
		}
		if from += len(picked); from < n {
			r.coming.pool, r.coming.stretch = r.serving.base, r.stretch
			r.finish(&r.coming, Failed, 0)
		}
	}
}

// serveInTurn counts connections that their servers have served.
func (r *run) serveInTurn(p *pool, picked []uint16) {
	served := r.stretch.served[p.first:]
	for _, i := range picked {
		served[i]++
	}
	for _, g := range r.stretch.gauges {
		for _, i := range picked {
			g.observe(Served, p.first+int(i), 0)
		}
	}
}

// tryInTurn is serveInTurn where some of the servers refuse: theirs go on as alone.
func (r *run) tryInTurn(p *pool, sources []netip.AddrPort, picked []uint16) {
	for from := 0; from < len(picked); from++ {
		to := from
		for to < len(picked) && r.servers[p.first+int(picked[to])].fine {
			to++
		}
		r.serveInTurn(p, picked[from:to])
		if from = to; from < len(picked) {
			c := r.comes(0, 0)
			c.pool, c.client.Source = r.serving.base, sources[from]
			r.try(c)
		}
	}
}

// gather lets connections come until the given time, at most as many as a block has, and returns how many.
func (r *run) gather(until int64) (n int) {
	until = min(until, r.next())
	for n < blockSize {
		k := r.earliest()
		a := r.arrivals[k]
		if a.next >= until {
			break
		}
		first := a.index
		come := a.pass(a, r.turn(k, until), blockSize-n)
		if who := r.clients[k]; who != nil {
			who.sources(first, r.block.sources[n:n+come])
		}
		n += come
	}
	return n
}

// turn is until when the connections of stream k come before those of all others, at most the given time.
func (r *run) turn(k int, until int64) int64 {
	for j, a := range r.arrivals {
		switch {
		case j < k:
			until = min(until, a.next)
		case j > k && a.next < until: // of equals the first comes first
			until = a.next + 1
		}
	}
	return until
}
