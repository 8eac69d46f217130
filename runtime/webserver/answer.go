package webserver

import (
	"net/http"
	"net/url"

	"slbctl/spec"
)

// Answer is what an instance answers a request for a path with its query, by the code
// that its sockets answer with. What only running it would tell has a reason instead: a
// program of the user's, a fault.
func (i Instance) Answer(method, target string, header http.Header) (status int, answer http.Header, unknown string) {
	switch f := i.Fault; {
	case len(i.Command) > 0:
		return 0, nil, "runs a program"
	case i.Protocol != spec.ProtocolHTTP:
		return 0, nil, "speaks " + i.Protocol
	case f != nil && (f.Hang || f.Refuse || f.ErrorRate > 0):
		return 0, nil, "has a fault"
	}
	i.Fault, i.Running, i.Endpoints = nil, true, nil
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return http.StatusBadRequest, http.Header{}, "" // as net/http has it
	}
	s, err := siteOf(i)
	if err != nil {
		return 0, nil, err.Error()
	}
	w := recorder{header: http.Header{}}
	s.answer(&w, &http.Request{Method: method, URL: u, RequestURI: target, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1})
	return w.status, w.header, ""
}

// recorder keeps status and headers of an answer and forgets its body.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return len(p), nil
}
