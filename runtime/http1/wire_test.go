package http1

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"slbctl/testdata/wire"
)

// outcome is what a proxy would do with the bytes of one connection.
type outcome struct {
	statuses []int
	open     bool
	requests int
	sent     []byte // to the server
}

// serve reads in as a proxy does that gets it in pieces of a size.
func serve(in []byte, piece int) outcome {
	var r Request
	o := outcome{open: true}
	buffer, looked := []byte(nil), 0
	var body Body
	inBody := false
	refuse := func(err error) outcome {
		refused := new(Error)
		if !errors.As(err, &refused) || refused.Reason == "" {
			panic("refused without a *Error")
		}
		o.statuses, o.open = append(o.statuses, refused.Status), false
		return o
	}
	for len(in) > 0 {
		k := min(piece, len(in))
		buffer, in = append(buffer, in[:k]...), in[k:]
		for len(buffer) > 0 || inBody {
			if !inBody {
				if looked > 0 && !Grown(buffer, looked) {
					looked = len(buffer)
					break
				}
				n, err := r.Parse(buffer)
				if err != nil {
					return refuse(err)
				}
				if n == 0 {
					looked = len(buffer)
					break
				}
				o.sent = r.AppendHead(o.sent, forward)
				buffer, looked = buffer[n:], 0
				body.OfRequest(&r)
				inBody = true
			}
			n, done, err := body.Feed(buffer)
			o.sent = append(o.sent, buffer[:n]...)
			buffer = buffer[n:]
			if err != nil {
				return refuse(err)
			}
			if !done {
				break
			}
			inBody = false
			o.requests++
			o.statuses = append(o.statuses, 200)
			if r.Close {
				o.open = false
				return o
			}
		}
	}
	return o
}

func TestVectors(t *testing.T) {
	vectors, err := wire.Vectors()
	if err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 400 {
		t.Errorf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		for _, piece := range []int{1, 7, 4096, len(v.Bytes)} {
			if piece == 1 && len(v.Bytes) > MaxHead {
				continue
			}
			got := serve(v.Bytes, piece)
			if !slices.Equal(got.statuses, v.Statuses) || got.open != v.Open || got.requests != v.Requests {
				t.Errorf("%s, %d bytes at a time:\ngot  %v, open %v, %d requests\nwant %v, open %v, %d requests",
					v.Name, piece, got.statuses, got.open, got.requests, v.Statuses, v.Open, v.Requests)
			}
			for _, s := range v.Has {
				if !bytes.Contains(got.sent, []byte(s)) {
					t.Errorf("%s: %q is not in\n%s", v.Name, s, got.sent)
				}
			}
			for _, s := range v.Lacks {
				if bytes.Contains(got.sent, []byte(s)) {
					t.Errorf("%s: %q is in\n%s", v.Name, s, got.sent)
				}
			}
		}
	}
}
