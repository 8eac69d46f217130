package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"time"

	"slbctl/runtime/explain"
	"slbctl/spec"
)

// Client talks to the daemon of one working folder.
type Client struct {
	http   *http.Client
	folder string
}

// A daemon that is killed goes within so long, in steps of so long.
const (
	goingPatience = time.Second
	goingStep     = 10 * time.Millisecond
)

// Dial returns a client for the daemon of the working folder dir, or
// ErrNotRunning when none answers.
func Dial(dir string) (*Client, error) {
	folder := filepath.Join(dir, Folder)
	if err := probe(folder); err != nil {
		return nil, err
	}
	return &Client{folder: folder, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return DialSocket(ctx, folder, SocketName)
		},
	}}}, nil
}

// probe returns ErrNotRunning when nobody listens.
func probe(folder string) error {
	conn, err := DialSocket(context.Background(), folder, SocketName)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return ErrNotRunning
	}
	if err != nil {
		return fmt.Errorf("runtime socket %s: %w", filepath.Join(folder, SocketName), err)
	}
	return conn.Close()
}

// Status asks for the daemon's status document; ErrNotRunning when it has ended since.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var s Status
	return &s, c.get(ctx, "/v1/status", &s)
}

// Generation waits until no apply is under way, then tells what is live; ErrNotRunning
// when the daemon has ended since.
func (c *Client) Generation(ctx context.Context) (Generation, error) {
	var g Generation
	return g, c.get(ctx, "/v1/generation", &g)
}

// WaitDrained returns when nothing drains any more from a server, or with "" at all.
func (c *Client) WaitDrained(ctx context.Context, server string) error {
	return c.call(ctx, http.MethodGet, "/v1/drained?server="+url.QueryEscape(server), nil, nil)
}

// Standing asks how a listener stands, by its resource address.
func (c *Client) Standing(ctx context.Context, listener string) (*Standing, error) {
	var s Standing
	return &s, c.get(ctx, "/v1/standing?listener="+url.QueryEscape(listener), &s)
}

// StopInstance stops an instance as an operator or an accident would: its
// sockets close, connects are refused.
func (c *Client) StopInstance(ctx context.Context, address string) error {
	return c.call(ctx, http.MethodPost, "/v1/instance", instanceRequest{address, false}, nil)
}

// StartInstance starts an instance that was stopped.
func (c *Client) StartInstance(ctx context.Context, address string) error {
	return c.call(ctx, http.MethodPost, "/v1/instance", instanceRequest{address, true}, nil)
}

// SetDrained takes a server out softly by hand, or lets it back in: an instance, or one
// backend of a group.
func (c *Client) SetDrained(ctx context.Context, address string, drained bool) (DrainResult, error) {
	var r DrainResult
	err := c.call(ctx, http.MethodPost, "/v1/drain", drainRequest{address, drained}, &r)
	return r, err
}

// EndTry goes back to what was live before a Request with Try, if there was one.
func (c *Client) EndTry(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/endtry", struct{}{}, nil)
}

// SetAside takes a server out softly for so long, at most, or with 0 lets it back.
func (c *Client) SetAside(ctx context.Context, address string, d time.Duration) error {
	return c.call(ctx, http.MethodPost, "/v1/aside", asideRequest{address, d}, nil)
}

// SetFault has an instance do something wrong, for so long or with 0 until a nil fault
// takes it back.
func (c *Client) SetFault(ctx context.Context, address string, fault *spec.InstanceFault, d time.Duration) error {
	return c.call(ctx, http.MethodPost, "/v1/fault", faultRequest{address, fault, d}, nil)
}

// Explain asks why a request goes where it goes.
func (c *Client) Explain(ctx context.Context, q explain.Question) (*explain.Explanation, error) {
	var answer explain.Explanation
	return &answer, c.call(ctx, http.MethodPost, "/v1/explain", q, &answer)
}

// Upgrade has a process of the program in a file take over from the daemon. When it returns
// nil that one serves; after a refusal, an *Error, nothing has changed.
func (c *Client) Upgrade(ctx context.Context, executable string) error {
	return c.call(ctx, http.MethodPost, "/v1/upgrade", upgradeRequest{executable}, nil)
}

// Shutdown asks the daemon to end. It returns when the daemon has heard, not
// when it is gone.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/shutdown", struct{}{}, nil)
}

// Apply sends one configuration and reports each step. The error is an *Error
// when the daemon refused or withdrew the change; any other error leaves the
// outcome open, and Generation tells it.
func (c *Client) Apply(ctx context.Context, req Request, step func(Event)) error {
	for {
		begun := false
		err := c.apply(ctx, req, func(ev Event) {
			begun = true
			step(ev)
		})
		switch {
		case !moved(err):
			return err
		case begun: // and done: it is what drains that the successor is asked about
			return c.WaitDrained(ctx, "")
		}
	}
}

func (c *Client) apply(ctx context.Context, req Request, step func(Event)) error {
	resp, err := c.send(ctx, http.MethodPost, "/v1/apply", req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := json.NewDecoder(resp.Body)
	for {
		var m message
		if err := in.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("runtime: the daemon broke off during apply: %w", err)
		}
		switch {
		case m.Event != nil:
			step(*m.Event)
		case m.Error != nil:
			return m.Error
		case m.Done:
			return nil
		}
	}
}

// moved says that another process has taken over before anything was done.
func moved(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Code == CodeMoved
}

// get asks for what changes nothing. One who was killed while he answers does not run any
// more, and that is what is told, rather than how the connection broke.
func (c *Client) get(ctx context.Context, path string, into any) error {
	for begin := time.Now(); ; time.Sleep(goingStep) {
		err := c.call(ctx, http.MethodGet, path, nil, into)
		var refusal *Error
		if err == nil || errors.As(err, &refusal) || ctx.Err() != nil || time.Since(begin) > goingPatience {
			return err
		}
		if errors.Is(probe(c.folder), ErrNotRunning) {
			return ErrNotRunning
		}
	}
}

// call asks once, and again whoever has taken over meanwhile.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	for {
		if err := c.ask(ctx, method, path, body, into); !moved(err) {
			return err
		}
	}
}

func (c *Client) ask(ctx context.Context, method, path string, body, into any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil && method != http.MethodGet && ctx.Err() == nil {
		return fmt.Errorf("%w; it may have happened all the same, which `slbctl plan` and the next command find out", err)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var m message
		if err := json.NewDecoder(resp.Body).Decode(&m); err == nil && m.Error != nil {
			return m.Error
		}
		return fmt.Errorf("runtime: %s %s: %s", method, path, resp.Status)
	}
	if into == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("runtime: %s %s: %w", method, path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("runtime: %s %s: %w", method, path, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://runtime"+path, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("runtime: %s %s: %w", method, path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("runtime: the daemon does not answer: %w", err)
	}
	return resp, nil
}
