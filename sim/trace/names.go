package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cespare/xxhash/v2"
)

// What a trace may have of each: it is all in memory when it is made and replayed.
const (
	mostClients = 1 << 24
	mostTargets = 1 << 22
	mostServers = 1 << 16
	mostText    = 512 << 20 // bytes of all targets
)

// names numbers the clients, targets and servers of a log.
type names struct {
	addresses []netip.Addr // by client
	targets   []Target
	servers   []string // the first is empty

	clients   map[clientKey]uint32
	byTarget  map[string]uint32
	byServer  map[string]uint32
	text      int
	anonymous *anonymizer
	key       []byte
}

type clientKey struct {
	address netip.Addr
	agent   uint64
}

func newNames(key []byte) *names {
	n := &names{servers: []string{""}, clients: map[clientKey]uint32{}, byTarget: map[string]uint32{}, byServer: map[string]uint32{"": 0}}
	if key != nil {
		n.anonymous = newAnonymizer(key)
	}
	return n
}

// number fills in the numbers of an entry.
func (n *names) number(e *entry, r *Request) error {
	client := clientKey{e.client, xxhash.Sum64(e.agent)}
	var ok bool
	if r.Client, ok = n.clients[client]; !ok {
		if len(n.addresses) == mostClients {
			return fmt.Errorf("more than %d clients", mostClients)
		}
		r.Client = uint32(len(n.addresses))
		n.clients[client] = r.Client
		n.addresses = append(n.addresses, n.anonymous.of(e.client))
	}
	n.key = append(append(append(append(append(n.key[:0], e.method...), ' '), e.host...), ' '), e.target...)
	if r.Target, ok = n.byTarget[string(n.key)]; !ok {
		if n.text += len(n.key); len(n.targets) == mostTargets || n.text > mostText {
			return errors.New("too many different request targets: leave the query out of the log, or import a part of it")
		}
		r.Target = uint32(len(n.targets))
		n.byTarget[string(n.key)] = r.Target
		n.targets = append(n.targets, Target{string(e.method), string(e.host), string(e.target)})
	}
	if r.Server, ok = n.byServer[string(e.server)]; !ok {
		if len(n.servers) == mostServers {
			return fmt.Errorf("more than %d servers", mostServers)
		}
		r.Server = uint32(len(n.servers))
		n.byServer[string(e.server)] = r.Server
		n.servers = append(n.servers, string(e.server))
	}
	return nil
}

// fill takes over what has no number. At is ns since 1970 until the trace is written.
func (r *Request) fill(e *entry) {
	r.At, r.Took, r.Bytes = time.Duration(e.at), time.Duration(e.took), e.bytes
	r.Status, r.Port = uint16(e.status), e.port
}
