//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

const patience = 5 * time.Second

// holdIdle opens n connections, gets one answer on each, says "up" and leaves them
// alone until its standard input ends. Then each must answer once more: a connection
// that the proxy has closed costs no memory.
func holdIdle(ep netip.AddrPort, host, path string, secure bool, n int) (load, error) {
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
	config := clientTLS(host, nil)
	var connections []net.Conn
	for range n {
		c, err := net.DialTimeout("tcp", ep.String(), patience)
		if err != nil {
			return load{}, fmt.Errorf("connection %d of %d: %w", len(connections)+1, n, err)
		}
		defer c.Close()
		if secure {
			c = tls.Client(c, config)
		}
		connections = append(connections, c)
		if err := ask(c, request, false); err != nil {
			return load{}, fmt.Errorf("connection %d of %d: %w", len(connections), n, err)
		}
	}
	fmt.Println("up")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return load{}, err
	}
	for i, c := range connections {
		if err := ask(c, request, false); err != nil {
			return load{}, fmt.Errorf("connection %d of %d, after a pause: %w", i+1, n, err)
		}
	}
	return load{Requests: int64(n), Amount: float64(n), Rate: float64(n)}, nil
}

// ask sends a request and reads the whole answer, which says whether it is the
// last on the connection.
func ask(c net.Conn, request []byte, last bool) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	in := bufio.NewReaderSize(c, 512)
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || r.Close != last {
		return fmt.Errorf("answered %s, close %v", r.Status, r.Close)
	}
	if _, err = io.Copy(io.Discard, r.Body); err != nil || !last {
		return err
	}
	if _, err := in.Peek(1); err != io.EOF {
		return fmt.Errorf("the answer is not the last: %v", err) // nil: there is more
	}
	return nil
}
