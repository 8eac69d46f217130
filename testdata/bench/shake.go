//go:build linux

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// measureShakes opens TLS connections as fast as the proxy lets it, a fixed number at a
// time: each sends one request and waits for the whole answer and the end of the
// stream. Latency is from the connect to that end. wrk will not do here: it resumes
// sessions wherever it gets a ticket.
func measureShakes(ep netip.AddrPort, host, path string, connections int, d time.Duration) (load, error) {
	config := clientTLS(host, nil)
	request := fmt.Appendf(nil, "GET %s%d HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, smallBody, host)
	latencies, failures := make([][]time.Duration, connections), make([]error, connections)
	start := time.Now()
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() {
			for time.Since(start) < d && failures[i] == nil {
				began := time.Now()
				failures[i] = askOnce(ep, config, request)
				latencies[i] = append(latencies[i], time.Since(began))
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	if err := errors.Join(failures...); err != nil {
		return load{}, err
	}
	return loadOf(slices.Concat(latencies...), took), nil
}

// askOnce makes one connection with one request.
func askOnce(ep netip.AddrPort, config *tls.Config, request []byte) error {
	plain, err := net.DialTimeout("tcp", ep.String(), patience)
	if err != nil {
		return err
	}
	defer plain.Close()
	c := tls.Client(plain, config)
	if err := ask(c, request, true); err != nil {
		return err
	}
	if state := c.ConnectionState(); state.DidResume {
		return errors.New("a session was resumed")
	}
	return nil
}
