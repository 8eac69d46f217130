package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// longestHAR bounds an entry of a HAR, answer included.
const longestHAR = 64 << 20

// har reads what browsers save (HTTP Archive 1.2), one entry after the other. The server that
// it tells is the one that the browser has asked, the balancer: which one is behind it, it
// does not know.
type har struct {
	in    *rationed
	limit int64 // bytes of an entry
	json  *json.Decoder
	entry int64
	began bool
	clock clock
}

var errLongHAR = fmt.Errorf("an entry over %d MiB", longestHAR>>20)

// harEntry is what matters of an entry.
type harEntry struct {
	Started string  `json:"startedDateTime"`
	Time    float64 `json:"time"` // ms
	Request struct {
		Method, URL string
		Headers     []struct{ Name, Value string }
	} `json:"request"`
	Response struct {
		Status   int
		BodySize int64
	} `json:"response"`
}

func newHAR(in io.Reader) *har {
	r := &rationed{in: in, left: longestHAR}
	return &har{in: r, limit: longestHAR, json: json.NewDecoder(r)}
}

func (h *har) place() int64 { return h.entry }

func (h *har) next(e *entry) error {
	if !h.began {
		if err := h.begin(); err != nil {
			return h.located(err)
		}
		h.began = true
	}
	if !h.json.More() {
		if _, err := h.json.Token(); err != nil { // the ] of the entries
			return h.located(err)
		}
		return io.EOF
	}
	h.entry++
	h.in.left = h.limit
	var raw harEntry
	if err := h.json.Decode(&raw); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) { // the decoder has gone past it
			return noObject
		}
		return h.located(err)
	}
	return h.fill(&raw, e)
}

func (h *har) fill(raw *harEntry, e *entry) error {
	*e = entry{client: unknownClient, at: h.clock.iso([]byte(raw.Started))}
	if ms := raw.Time; ms > 0 && ms < longestTime/1e6 {
		e.took = int64(ms * 1e6)
	}
	if raw.Response.Status > 0 && raw.Response.Status <= 999 {
		e.status = raw.Response.Status
	}
	e.bytes = raw.Response.BodySize
	for _, x := range raw.Request.Headers {
		if strings.EqualFold(x.Name, "user-agent") {
			e.agent = []byte(x.Value)
		}
	}
	url, _, _ := strings.Cut(raw.Request.URL, "#")
	return e.request([]byte(raw.Request.Method), []byte(url))
}

// begin reads up to the list of entries.
func (h *har) begin() error {
	if err := h.object("log"); err != nil {
		return err
	}
	if err := h.object("entries"); err != nil {
		return err
	}
	if t, err := h.json.Token(); err != nil || t != json.Delim('[') {
		return orElse(err, errors.New("entries is no list"))
	}
	return nil
}

// object goes into an object, up to the value of a name.
func (h *har) object(name string) error {
	if t, err := h.json.Token(); err != nil || t != json.Delim('{') {
		return orElse(err, errors.New("no object with "+strconv.Quote(name)))
	}
	for h.json.More() {
		t, err := h.json.Token()
		if err != nil {
			return err
		}
		if t == name {
			return nil
		}
		h.in.left = h.limit
		var passed json.RawMessage
		if err := h.json.Decode(&passed); err != nil {
			return err
		}
	}
	return errors.New("no " + strconv.Quote(name))
}

func (h *har) located(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle")
	}
	return fmt.Errorf("byte %d, after %d entries: not a HAR: %w", h.json.InputOffset(), max(h.entry-1, 0), err)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// rationed is a reader that gives so many bytes and no more until it is told so.
type rationed struct {
	in   io.Reader
	left int64
}

func (r *rationed) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, errLongHAR
	}
	n, err := r.in.Read(b[:min(int64(len(b)), r.left)])
	r.left -= int64(n)
	return n, err
}
