// Package runtime is the engine that makes a configuration real, and the daemon
// around it. One daemon serves one working folder:
//
//	client, err := runtime.Start(ctx, dir, "/usr/local/bin/slbctl")
//	err = client.Apply(ctx, control.Request{…}, func(e control.Event) { … })
//
// Start finds the running daemon or starts one; Run is that daemon. It answers on
// .slbctl/runtime.sock (package control), balances (proxy), probes (health),
// answers names (dns) and looks after the child process that holds the instances
// (webserver). What it has committed it finds again after a crash, so it needs
// the command line only to be changed. A process of another program takes over from it
// without losing a connection; handover.go tells how.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
)

const formatVersion = "1.0"

// Options are what `slbctl runtime run` may set.
type Options struct {
	Log *slog.Logger
	// Executable starts the instances' child: it is called with "-chdir=DIR
	// runtime instances".
	Executable string
	Version    string // of the program, for /metrics
	// Foreground says that whoever has started the daemon waits for its end: it stays after
	// another process has taken over, until that ends.
	Foreground bool
	// Ready is called once the daemon answers and its committed generation
	// serves, or with the error that ended it before.
	Ready func(error)
}

// Run is the daemon of the working folder dir, until ctx ends or a client asks it
// to shut down. It brings back the last committed generation before it answers. Started by
// a daemon that is upgraded, it takes over from that; once another one has taken over from
// it, it ends with what it still carries.
func Run(ctx context.Context, dir string, opt Options) (err error) {
	ready := func(err error) {
		if opt.Ready != nil {
			opt.Ready(err)
			opt.Ready = nil
		}
	}
	defer func() { ready(err) }()

	folder := filepath.Join(dir, control.Folder)
	if err := durable.OS.MkdirAll(folder); err != nil {
		return fmt.Errorf("runtime folder %s: %w", folder, err)
	}
	heir, err := inherit()
	if err != nil {
		return err
	}
	if heir != nil {
		return takeOver(ctx, dir, opt, heir)
	}
	lock, err := lockFile(filepath.Join(folder, pidFile))
	if err != nil {
		return err
	}
	defer lock.unlock()

	ctx, shutdown := context.WithCancel(ctx)
	defer shutdown()
	e, err := newEngine(ctx, dir, opt, shutdown)
	if err != nil {
		return err
	}
	e.lock = lock
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.restore(ctx); err != nil {
		return err
	}
	if e.control, err = control.Listen(folder, control.SocketName); err != nil {
		return err
	}
	return e.run(ctx, ready)
}

// run answers until ctx ends, or carries what is left once another process has taken over.
func (e *engine) run(ctx context.Context, ready func(error)) error {
	server := control.NewServer(e)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(e.control) }()
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go func() {
		if lost := e.lock.guard(watching); lost != nil {
			e.log.Error("nobody can reach this runtime any more, so it ends", "reason", lost)
			e.shutdown()
		}
	}()
	e.log.Info("runtime is up", "pid", os.Getpid(), "generation", e.current().Generation)
	ready(nil)

	var err error
	select {
	case <-e.moved:
		unwatch()
		e.control.Leave()
		e.lock.file.Close()
		err = endServer(server)
		<-failed // says that it was ended
		return errors.Join(err, e.outlive(ctx))
	case <-ctx.Done():
		err = endServer(server)
		<-failed
	case err = <-failed:
	}
	e.log.Info("runtime ends")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// endServer lets answers under way go out, the one to "shut down" among them.
func endServer(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}
