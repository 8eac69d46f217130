package sim

import "net/netip"

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

// inTurn reports whether connections are served in turn until something happens: none of them has to try a second
// server, or to wait.
func (r *run) inTurn() bool {
	if r.block == nil || !r.listener.Serving {
		return false
	}
	if !r.looked {
		r.looked, r.fine = true, r.sound()
	}
	return r.fine
}

// sound reports whether all servers in the table are fine.
func (r *run) sound() bool {
	p := &r.pools[r.serving.base]
	for i := range p.Backends {
		if !r.servers[p.first+i].fine && p.table.Picks(i) {
			return false
		}
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
		r.serveInTurn(p, picked)
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
