package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"slbctl/runtime/netloop"
)

const (
	scrapes     = 4  // at once; more are answered with 503
	connections = 64 // at once; more wait in the accept queue

	headTime  = 5 * time.Second
	writeTime = 30 * time.Second
	idleTime  = 3 * time.Minute // beyond the usual interval of scrapes
	headBytes = 16 << 10
	lastWords = time.Second // for a scrape under way when the Page ends
)

// Page serves GET /metrics at one address, in the formats that Prometheus asks for, and
// nothing else. Another process takes over in three steps: it Adopts the File, this one
// pauses, and once the other one serves this one leaves. Who asks meanwhile waits.
type Page struct {
	handler http.Handler
	log     *slog.Logger

	mu        sync.Mutex
	addr      netip.AddrPort
	socket    *os.File     // listens; nil before Listen and after Close
	accepting net.Listener // on socket; nil = nobody is
	running   sync.WaitGroup
}

// New returns a Page of what read tells at each scrape, of the Go runtime and of the
// process. version is the program's.
func New(version string, read func() *Snapshot, log *slog.Logger) *Page {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{read}, buildInfo(version),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), MaxRequestsInFlight: scrapes,
	}))
	return &Page{handler: mux, log: log}
}

// buildInfo is 1, with what the program is as labels.
func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "slbctl_build_info", Help: "The program that serves; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	}, func() float64 { return 1 })
}

// Addr is where the Page is served, or the zero value.
func (s *Page) Addr() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Listen takes the port, and serves from the first Resume on. The error says who holds the port or how to be allowed it.
func (s *Page) Listen(ep netip.AddrPort) error {
	// Multipath TCP, Go's default for listeners, hides the socket's owner from /proc/net/tcp.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", ep.String())
	if err != nil {
		return netloop.BindError("tcp", ep, err)
	}
	defer l.Close()
	socket, err := netloop.FileOf(l.(*net.TCPListener), "metrics")
	if err != nil {
		return fmt.Errorf("metrics on %s: %w", ep, err)
	}
	s.Adopt(netip.AddrPortFrom(ep.Addr(), uint16(l.Addr().(*net.TCPAddr).Port)), socket)
	return nil
}

// Adopt is Listen with the socket of another process.
func (s *Page) Adopt(ep netip.AddrPort, socket *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr, s.socket = ep, socket
}

// File is the socket, for another process; the caller closes it.
func (s *Page) File() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == nil {
		return nil, errors.New("metrics: the page is closed")
	}
	return netloop.FileOf(s.socket, "metrics")
}

// Resume serves, what has come meanwhile first.
func (s *Page) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accepting != nil || s.socket == nil {
		return nil
	}
	l, err := net.FileListener(s.socket)
	if err != nil {
		return fmt.Errorf("metrics on %s: %w", s.addr, err)
	}
	l = netutil.LimitListener(l, connections)
	s.accepting = l
	s.running.Go(func() { s.serve(l) })
	return nil
}

// serve answers until the listener is closed, and then whoever has been accepted.
func (s *Page) serve(l net.Listener) {
	var open sync.WaitGroup
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headTime, ReadTimeout: headTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		},
	}
	if err := server.Serve(l); !errors.Is(err, net.ErrClosed) {
		s.log.Error("metrics are not served any more", "address", s.addr, "error", err)
	}
	// Not Shutdown, which leaves a request unanswered that comes in this moment.
	server.SetKeepAlivesEnabled(false)
	late := time.AfterFunc(lastWords, func() { _ = server.Close() }) // whoever reads so slowly gets no more
	open.Wait()
	late.Stop()
}

// Pause accepts nobody any more, and closes the connections on which nothing is asked.
func (s *Page) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pause()
}

func (s *Page) pause() {
	if s.accepting != nil {
		_ = s.accepting.Close() // serve says when that was for nothing
		s.accepting = nil
	}
}

// Leave gives the socket back, which may be another process's, and waits for nobody.
func (s *Page) Leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pause()
	socket := s.socket
	if s.socket = nil; socket == nil {
		return nil
	}
	return socket.Close()
}

// Close ends the Page and returns when nothing of it runs any more.
func (s *Page) Close() error {
	err := s.Leave()
	s.running.Wait()
	return err
}
