package sim

import (
	"math"

	"slbctl/runtime/balance"
)

// cookies are all that the sticky pools of a listener give, numbered from 1 on, with
// what the core makes of each when it comes back.
type cookies struct {
	given [][]int32 // by pool and backend; nil for a pool that is not sticky
	named [][]int32 // by pool and number: the backend
}

func newCookies(pools []pool) cookies {
	c := cookies{given: make([][]int32, len(pools)), named: make([][]int32, len(pools))}
	values, numbers := [][]byte{nil}, map[string]int32{}
	for k, p := range pools {
		if p.Sticky.Mode == balance.StickyOff {
			continue
		}
		c.given[k] = make([]int32, len(p.Backends))
		for i := range p.Backends {
			value := p.CookieValue(i)
			if p.Sticky.Mode == balance.StickyServer {
				value += "|session" // what the server's own cookie says means nothing here
			}
			if numbers[value] == 0 {
				numbers[value] = int32(len(values))
				values = append(values, []byte(value))
			}
			c.given[k][i] = numbers[value]
		}
	}
	for k, p := range pools {
		if c.given[k] == nil {
			continue
		}
		for _, value := range values {
			c.named[k] = append(c.named[k], int32(p.StickyBackend(value)))
		}
	}
	return c
}

// cookie is one that a client has.
type cookie struct {
	expires int64 // ns; it goes back to the balancer before that
	number  int32 // 0 = none
}

// backend is whom a client's cookie names in a pool.
func (c *cookies) backend(pool int, k *cookie, now int64) int {
	if k.number == 0 || k.expires <= now {
		return balance.NoBackend
	}
	return int(c.named[pool][k.number])
}

// give is what an answer from a server of a pool does to the client's cookie. Servers
// are assumed to answer with 200, and those that stick by a cookie of their own to set it
// with every answer.
func (c *cookies) give(p *pool, k *cookie, conn *connection, i int, now int64) {
	switch {
	case p.Sticky.Mode == balance.StickyServer:
		*k = cookie{math.MaxInt64, c.given[conn.pool][i]}
	case p.Sticky.Inserts(conn.kept, 200):
		*k = cookie{now + p.Sticky.Seconds()*1e9, c.given[conn.pool][i]}
	}
}
