package webserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Child is the daemon's end of the control socket. It is safe for concurrent use.
type Child struct {
	path string
	http http.Client
	pid  int
}

// Dial reaches the child that listens on the unix socket path, whoever started
// it. The path is used again whenever a connection has to be opened, so it must
// stay valid until Close.
func Dial(ctx context.Context, path string) (*Child, error) {
	c := &Child{path: path}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}
	status, err := c.get(ctx)
	if err != nil {
		c.Close()
		return nil, err
	}
	c.pid = status.PID
	return c, nil
}

// PID is the child's process.
func (c *Child) PID() int { return c.pid }

// Set makes the instances so. On an error nothing has changed; it names the
// endpoint that could not be bound and who holds it.
func (c *Child) Set(ctx context.Context, instances []Instance) error {
	return c.do(ctx, http.MethodPut, "/instances", setRequest{instances}, nil)
}

// Status tells the instances as they are, in the order of the last Set.
func (c *Child) Status(ctx context.Context) ([]Status, error) {
	status, err := c.get(ctx)
	return status.Instances, err
}

// Shutdown stops all instances, letting requests under way end, and with them
// the child. When it returns nil nothing serves any more.
func (c *Child) Shutdown(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/shutdown", nil, nil)
}

// Close ends the conversation; the child serves on.
func (c *Child) Close() { c.http.CloseIdleConnections() }

func (c *Child) get(ctx context.Context) (statusResponse, error) {
	var status statusResponse
	err := c.do(ctx, http.MethodGet, "/instances", nil, &status)
	return status, err
}

// do sends one request and decodes the answer into result unless that is nil.
func (c *Child) do(ctx context.Context, method, path string, body, result any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return fmt.Errorf("web servers: %s %s: %w", method, path, err)
		}
	}
	// The host is a formality of HTTP; the transport dials the socket whatever it says.
	request, err := http.NewRequestWithContext(ctx, method, "http://child"+path, &content)
	if err != nil {
		return fmt.Errorf("web servers: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("web servers at %s: %w", c.path, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		var failure errorResponse
		if json.NewDecoder(response.Body).Decode(&failure) != nil || failure.Error == "" {
			failure.Error = "web servers: " + method + " " + path + " answered " + response.Status
		}
		return errors.New(failure.Error)
	}
	if result == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(result); err != nil {
		return fmt.Errorf("web servers: %s %s: unreadable answer: %w", method, path, err)
	}
	return nil
}
