//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	warmUp = time.Second
	settle = time.Second // memory of idle connections is looked at after that

	proxyCore = "0"
	loadCore  = "1"
	bothCores = "0,1"
)

// sample is one measurement of one proxy.
type sample struct {
	load
	CPU    time.Duration
	Kernel time.Duration // of CPU, what was used in the kernel
	Memory float64       // KiB, while the load is on
	Before float64       // KiB, before idle connections were opened
}

// bench is what all measurements share.
type bench struct {
	programs    []proxy
	descriptors int
	duration    time.Duration
	rounds      int
}

// measureRow lets the programs take turns. One whose measurement is invalid is left
// out from then on.
func (b *bench) measureRow(ctx context.Context, r row) results {
	res := results{row: r, samples: map[string][]sample{}, invalid: map[string]error{}}
	for range b.rounds {
		for _, p := range b.programs {
			if res.invalid[p.name] != nil || !p.takes(r) || ctx.Err() != nil {
				continue
			}
			s, err := b.measure(ctx, p, r)
			if err != nil {
				res.invalid[p.name] = err
				continue
			}
			res.samples[p.name] = append(res.samples[p.name], s)
		}
	}
	return res
}

// measure starts a proxy and its server, puts the row's load on them and stops both.
// A measurement in which anything went wrong is an error, never a number.
func (b *bench) measure(ctx context.Context, p proxy, r row) (s sample, err error) {
	folder, err := os.MkdirTemp("", "slbctl-bench-")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	proxyCores, loadCores := proxyCore, loadCore
	if r.shared {
		proxyCores, loadCores = bothCores, bothCores
	}
	config, err := r.setup.started(folder, b.descriptors)
	if err != nil {
		return s, err
	}
	server, err := startBackend(config, loadCores)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	run, err := p.start(config, proxyCores)
	if err != nil {
		return s, err
	}
	stop := sync.OnceValue(run.stop)
	defer func() { err = errors.Join(err, stop()) }()

	m := measurement{row: r, config: config, server: server, pid: run.pid}
	m.job = job{target: targetOf(config), connections: r.connections, duration: b.duration, cores: loadCores}
	if s, err = m.run(ctx); err != nil {
		return s, err
	}
	// Buffered lines are written at the end. What goes wrong there is told once, above.
	if !r.setup.Everything || stop() != nil {
		return s, nil
	}
	return s, checkLog(filepath.Join(folder, accessLog), s.Requests)
}

// measurement is one on its way.
type measurement struct {
	row    row
	config setup
	server *backendProcess
	pid    int // of the proxy
	job    job
}

func (m *measurement) run(ctx context.Context) (s sample, err error) {
	err = retry(func() (err error) {
		m.job.target, err = m.job.target.probe(m.config)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("does not serve: %w", err)
	}
	if m.row.generate == nil {
		return m.idle(ctx)
	}
	if err := m.warmUp(ctx, m.row.generate, m.row.connections); err != nil {
		return s, err
	}
	return m.loaded(ctx)
}

func (m *measurement) warmUp(ctx context.Context, generate generator, connections int) error {
	j := m.job
	j.connections, j.duration = connections, warmUp
	if _, err := generate(ctx, j); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	return nil
}

// loaded measures under load.
func (m *measurement) loaded(ctx context.Context) (s sample, err error) {
	counted, err := m.server.counters()
	if err != nil {
		return s, err
	}
	used, usedKernel, err := cpuOf(m.pid)
	if err != nil {
		return s, err
	}
	// Late enough for all buffers to be there, early enough for all connections.
	looked := make(chan error, 1)
	time.AfterFunc(m.job.duration*3/4, func() {
		var err error
		s.Memory, err = memoryOf(m.pid)
		looked <- err
	})
	l, err := m.row.generate(ctx, m.job)
	if err := errors.Join(err, <-looked); err != nil {
		return s, err
	}
	s.load = l
	now, nowKernel, err := cpuOf(m.pid)
	if err != nil {
		return s, err
	}
	s.CPU, s.Kernel = now-used, nowKernel-usedKernel
	c, err := m.server.counters()
	if err != nil {
		return s, err
	}
	return s, m.row.checkServer(l, c.since(counted))
}

// idle measures the memory of connections that do nothing. The program has worked
// before, so that what it needs for any work at all is not counted to them.
func (m *measurement) idle(ctx context.Context) (s sample, err error) {
	if m.config.Connections < m.row.connections {
		return s, fmt.Errorf("%d descriptors are enough for %d connections of %d; raise the hard limit (ulimit -Hn)",
			m.config.Descriptors, m.config.Connections, m.row.connections)
	}
	if err := m.warmUp(ctx, wrk(smallBody), 64); err != nil {
		return s, err
	}
	if s.Before, err = memoryOf(m.pid); err != nil {
		return s, err
	}
	clients, err := startIdle(m.job)
	if err != nil {
		return s, err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	s.Memory, err = memoryOf(m.pid)
	l, endErr := clients.end()
	s.load = l
	return s, errors.Join(err, endErr, ctx.Err())
}

// checkServer holds what the server has counted against what the generator says.
func (r row) checkServer(l load, c counters) error {
	if c.Requests < l.Requests {
		return fmt.Errorf("%d requests were answered but the server got %d: not every request was passed on", l.Requests, c.Requests)
	}
	// Probes, and the few that a proxy closes and opens again.
	spare := int64(r.connections*max(1, r.streams)) + 16 + c.Requests/100
	if r.keepsServers && c.Accepted > spare {
		return fmt.Errorf("%d requests took %d connections to the server: they are not kept alive", c.Requests, c.Accepted)
	}
	return nil
}

// checkLog makes sure that requests were written down: a log may lose a few of its
// lines to keep up, but not be off.
func checkLog(path string, requests int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var lines int64
	for scan := bufio.NewScanner(f); scan.Scan(); {
		lines++
	}
	if lines < requests-requests/100 {
		return fmt.Errorf("the access log has %d lines for %d requests", lines, requests)
	}
	return nil
}
