//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// job is what a generator is to do.
type job struct {
	target      target
	connections int // at a time
	duration    time.Duration
	cores       string // that the generator may use
}

// generator does a job and says what became of it.
type generator func(context.Context, job) (load, error)

// wrk asks for bodies of so many bytes over and over; headers are "Name: value".
func wrk(body int, headers ...string) generator {
	return func(ctx context.Context, j job) (load, error) {
		headers := append([]string{"Host: " + j.target.Host}, headers...)
		if j.target.Cookie != "" {
			headers = append(headers, "Cookie: "+j.target.Cookie)
		}
		args := []string{"-t1", fmt.Sprint("-c", j.connections), fmt.Sprintf("-d%ds", int(j.duration.Seconds())), "--latency"}
		for _, h := range headers {
			args = append(args, "-H", h)
		}
		args = append(args, fmt.Sprintf("%s://%s%s%d", j.target.scheme(), j.target.Endpoint, j.target.Path, body))
		out, err := output(ctx, pinned(j.cores, "wrk", args...))
		if err != nil {
			return load{}, err
		}
		return parseWrk(string(out))
	}
}

// own runs this program once more, as a generator of its roles.
func own(name string) generator {
	return func(ctx context.Context, j job) (load, error) {
		out, err := output(ctx, ownCommand(name, j))
		if err != nil {
			return load{}, err
		}
		return decodeLoad(out)
	}
}

func ownCommand(name string, j job) *exec.Cmd {
	return pinned(j.cores, self(), name, "-endpoint", j.target.Endpoint.String(), "-host", j.target.Host, "-path", j.target.Path,
		"-connections", strconv.Itoa(j.connections), "-duration", j.duration.String(), fmt.Sprint("-tls=", j.target.Roots != nil))
}

func decodeLoad(out []byte) (l load, err error) {
	if err := json.Unmarshal(out, &l); err != nil {
		return l, fmt.Errorf("generator: %w: %q", err, out)
	}
	return l, nil
}

// output runs a command to its end, or the context's.
func output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := start(cmd); err != nil {
		return nil, err
	}
	end := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer end()
	if err := cmd.Wait(); err != nil {
		return nil, errors.Join(ctx.Err(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args[3:], " "), err, bytes.TrimSpace(errs.Bytes())))
	}
	return out.Bytes(), nil
}

// idleClients are connections that wait for nothing, in a process of their own.
type idleClients struct {
	cmd  *exec.Cmd
	hold io.Closer
	out  io.Reader
	errs bytes.Buffer
}

// startIdle returns when all connections have been opened and had an answer each.
func startIdle(j job) (*idleClients, error) {
	c := &idleClients{cmd: ownCommand("idle", j)}
	c.cmd.Stderr = &c.errs
	var err error
	if c.hold, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = c.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := start(c.cmd); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c.out, make([]byte, len("up\n"))); err != nil {
		_, err = c.end()
		return nil, err
	}
	return c, nil
}

// end asks all once more and returns how many they are.
func (c *idleClients) end() (load, error) {
	c.hold.Close()
	out, err := io.ReadAll(c.out)
	if err := errors.Join(err, c.cmd.Wait()); err != nil {
		return load{}, fmt.Errorf("idle connections: %w: %s", err, bytes.TrimSpace(c.errs.Bytes()))
	}
	return decodeLoad(out)
}
