package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"slbctl/runtime/explain"
	"slbctl/spec"
)

// maxRequest bounds one request's body: a configuration of 100,000 resources fits.
const maxRequest = 256 << 20

// sendPatience is how long an apply waits for a client to take an event.
const sendPatience = 5 * time.Second

// message is one line of an apply's answer: events, then exactly one end.
type message struct {
	Event *Event `json:"event,omitempty"`
	Error *Error `json:"error,omitempty"`
	Done  bool   `json:"done,omitempty"`
}

type instanceRequest struct {
	Address string `json:"address"`
	Running bool   `json:"running"`
}

type drainRequest struct {
	Address string `json:"address"`
	Drained bool   `json:"drained"`
}

type asideRequest struct {
	Address string        `json:"address"`
	For     time.Duration `json:"for"` // 0 = no more
}

type faultRequest struct {
	Address string              `json:"address"`
	Fault   *spec.InstanceFault `json:"fault"`
	For     time.Duration       `json:"for"` // 0 = until it is taken back
}

type upgradeRequest struct {
	Executable string `json:"executable"`
}

// NewServer returns the HTTP server of an engine's API; Serve it on Listen's socket.
func NewServer(e Engine) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, e.Status())
	})
	mux.HandleFunc("GET /v1/generation", func(w http.ResponseWriter, r *http.Request) {
		g, err := e.Generation(r.Context())
		replyOr(w, g, err)
	})
	mux.HandleFunc("GET /v1/drained", func(w http.ResponseWriter, r *http.Request) {
		replyOr(w, struct{}{}, e.WaitDrained(r.Context(), r.FormValue("server")))
	})
	mux.HandleFunc("GET /v1/standing", func(w http.ResponseWriter, r *http.Request) {
		standing, err := e.Standing(r.FormValue("listener"))
		replyOr(w, standing, err)
	})
	mux.HandleFunc("POST /v1/apply", func(w http.ResponseWriter, r *http.Request) { serveApply(e, w, r) })
	mux.HandleFunc("POST /v1/instance", func(w http.ResponseWriter, r *http.Request) {
		var req instanceRequest
		if !decode(w, r, &req) {
			return
		}
		replyOr(w, struct{}{}, e.SetInstance(r.Context(), req.Address, req.Running))
	})
	mux.HandleFunc("POST /v1/drain", func(w http.ResponseWriter, r *http.Request) {
		var req drainRequest
		if !decode(w, r, &req) {
			return
		}
		result, err := e.SetDrained(r.Context(), req.Address, req.Drained)
		replyOr(w, result, err)
	})
	mux.HandleFunc("POST /v1/endtry", func(w http.ResponseWriter, r *http.Request) {
		replyOr(w, struct{}{}, e.EndTry(r.Context()))
	})
	mux.HandleFunc("POST /v1/aside", func(w http.ResponseWriter, r *http.Request) {
		var req asideRequest
		if !decode(w, r, &req) {
			return
		}
		replyOr(w, struct{}{}, e.SetAside(r.Context(), req.Address, req.For))
	})
	mux.HandleFunc("POST /v1/fault", func(w http.ResponseWriter, r *http.Request) {
		var req faultRequest
		if !decode(w, r, &req) {
			return
		}
		replyOr(w, struct{}{}, e.SetFault(r.Context(), req.Address, req.Fault, req.For))
	})
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, r *http.Request) {
		var q explain.Question
		if !decode(w, r, &q) {
			return
		}
		answer, err := e.Explain(q)
		replyOr(w, answer, err)
	})
	mux.HandleFunc("POST /v1/upgrade", func(w http.ResponseWriter, r *http.Request) {
		var req upgradeRequest
		if !decode(w, r, &req) {
			return
		}
		w.Header().Set("Connection", "close") // the next request is for the successor
		replyOr(w, struct{}{}, e.Upgrade(r.Context(), req.Executable))
	})
	mux.HandleFunc("POST /v1/shutdown", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, struct{}{})
		e.Shutdown()
	})
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
}

// serveApply streams an apply's events, one JSON object a line. The apply does
// not end with its client: a command line that dies half way leaves the daemon
// to finish, and the next command learns the outcome from Generation. Only a canary
// does: nobody is there to see how its steps go.
func serveApply(e Engine, w http.ResponseWriter, r *http.Request) {
	var req Request
	if !decode(w, r, &req) {
		return
	}
	out := json.NewEncoder(w)
	stream := http.NewResponseController(w)
	gone := false
	send := func(m message) {
		// A client that went away or stopped reading is no concern of the apply.
		if gone {
			return
		}
		_ = stream.SetWriteDeadline(time.Now().Add(sendPatience))
		gone = errors.Join(out.Encode(m), stream.Flush()) != nil
	}
	ctx := r.Context()
	if len(req.Canary) == 0 {
		ctx = context.WithoutCancel(ctx)
	}
	w.Header().Set("Connection", "close") // a successor may be the next one to ask
	err := e.Apply(ctx, req, func(ev Event) { send(message{Event: &ev}) })
	if err != nil {
		send(message{Error: asError(err)})
		return
	}
	send(message{Done: true})
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(into)
	if err != nil {
		fail(w, http.StatusBadRequest, &Error{Code: CodeRefused, Message: fmt.Sprintf("control request: %v", err)})
	}
	return err == nil
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

func replyOr(w http.ResponseWriter, v any, err error) {
	if err == nil {
		reply(w, v)
		return
	}
	e := asError(err)
	status := http.StatusConflict
	switch e.Code {
	case CodeNotFound:
		status = http.StatusNotFound
	case CodeMoved:
		w.Header().Set("Connection", "close") // the next request is for the successor
	}
	fail(w, status, e)
}

func fail(w http.ResponseWriter, status int, e *Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(message{Error: e})
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeRefused, Message: err.Error()}
}
