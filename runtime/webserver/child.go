package webserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
)

// requestLimit bounds one control request in bytes: every page of every instance.
const requestLimit = 1 << 30

// The bodies of the control protocol.
type (
	setRequest struct {
		Instances []Instance `json:"instances"`
	}
	statusResponse struct {
		PID       int      `json:"pid"`
		Instances []Status `json:"instances"`
	}
	errorResponse struct {
		Error string `json:"error"`
	}
)

// ServeChild serves the instances that arrive over the control socket until it
// is told to shut down or ctx ends. The end of the process at the other end is
// not a reason to stop: the instances go on serving, and the next Dial finds
// them as they are. It closes l. Programs of the user have their output in files of logs.
//
//	PUT  /instances  {"instances": [...]}  the whole set; 409 and nothing changed when it cannot be
//	GET  /instances                        {"pid": ..., "instances": [...]}
//	POST /shutdown                         answers when nothing serves any more
func ServeChild(ctx context.Context, l net.Listener, logs string) error {
	f := &fleet{logs: logs, programs: map[netip.AddrPort]*program{}}
	done := make(chan struct{})
	server := &http.Server{
		Handler:           controlHandler(f, sync.OnceFunc(func() { close(done) })),
		ReadHeaderTimeout: headerTimeout,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	select {
	case err := <-served:
		f.close()
		return fmt.Errorf("web servers: control socket %s: %w", l.Addr(), err)
	case <-ctx.Done():
	case <-done:
	}
	f.close()
	ending, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := server.Shutdown(ending)
	if err != nil {
		err = errors.Join(fmt.Errorf("web servers: control socket %s: %w", l.Addr(), err), server.Close())
	}
	<-served
	return err
}

func controlHandler(f *fleet, done func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /instances", func(w http.ResponseWriter, r *http.Request) {
		var request setRequest
		if readJSON(w, r, &request) {
			answer(w, f.set(request.Instances))
		}
	})
	mux.HandleFunc("GET /instances", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, statusResponse{PID: os.Getpid(), Instances: f.status()})
	})
	mux.HandleFunc("POST /shutdown", func(w http.ResponseWriter, _ *http.Request) {
		f.close()
		answer(w, nil)
		done()
	})
	return mux
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestLimit)).Decode(into)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorResponse{fmt.Sprintf("web servers: unreadable request: %v", err)})
	}
	return err == nil
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		writeJSON(w, http.StatusConflict, errorResponse{err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The only failure is that the other end is gone, and nobody is left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
