//go:build linux

package proxy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// recordWriter seals what a client says after a handshake of TLS 1.3 itself, so that it
// can say what no library says (RFC 8446, 5.2 and 7).
type recordWriter struct {
	conn    *tls.Conn
	secret  []byte
	aead    cipher.AEAD
	iv      []byte
	written uint64 // records with this key
	out     bytes.Buffer
}

const (
	recordHandshake   = 22
	recordApplication = 23
)

// startRecords makes a connection that speaks HTTP/1.1.
func startRecords(t testing.TB, k *Socket) *recordWriter {
	t.Helper()
	var log strings.Builder
	c := handshake(t, k, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &log, NextProtos: []string{"http/1.1"}})
	if c.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("these records are of TLS_AES_128_GCM_SHA256, not %x", c.ConnectionState().CipherSuite)
	}
	w := &recordWriter{conn: c}
	for line := range strings.Lines(log.String()) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			w.secret, _ = hex.DecodeString(f[2])
		}
	}
	w.setKeys()
	return w
}

func (w *recordWriter) setKeys() {
	w.written = 0
	key := w.expand("key", 16)
	w.iv = w.expand("iv", 12)
	block, _ := aes.NewCipher(key)
	w.aead, _ = cipher.NewGCM(block)
}

// expand is HKDF-Expand-Label (RFC 8446, 7.1).
func (w *recordWriter) expand(label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 "+label)))
	info = append(info, "tls13 "+label...)
	b, err := hkdf.Expand(sha256.New, w.secret, string(append(info, 0)), n)
	if err != nil {
		panic(err)
	}
	return b
}

// add seals one record behind those that are to be sent.
func (w *recordWriter) add(kind byte, b []byte) {
	plain := append(bytes.Clone(b), kind)
	head := []byte{recordApplication, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(plain)+w.aead.Overhead()))
	nonce := bytes.Clone(w.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(w.written >> (56 - 8*i))
	}
	w.written++
	w.out.Write(w.aead.Seal(head, nonce, plain, head))
}

// addKeyUpdate changes the keys, and may ask for new ones of the other side.
func (w *recordWriter) addKeyUpdate(both byte) {
	w.add(recordHandshake, []byte{24, 0, 0, 1, both})
	w.secret = w.expand("traffic upd", len(w.secret))
	w.setKeys()
}

// send sends what was added, and says whether all of it was taken.
func (w *recordWriter) send() error {
	_, err := w.out.WriteTo(w.conn.NetConn())
	return err
}

// TestTLSRecordFloods sends records that bring nothing: the connection ends at once, for
// little, and counts as no request.
func TestTLSRecordFloods(t *testing.T) {
	c := startSecuredChild(t, startBackend(t, serveFast))
	limit := 50 * time.Millisecond
	if raceDetector {
		limit *= 20
	}
	for name, add := range map[string]func(w *recordWriter){
		"empty records":        func(w *recordWriter) { w.add(recordApplication, nil) },
		"updates of keys":      func(w *recordWriter) { w.addKeyUpdate(1) },
		"a second ClientHello": func(w *recordWriter) { w.add(recordHandshake, []byte{1, 0, 0, 2, 3, 3}) },
		"half a message":       func(w *recordWriter) { w.add(recordHandshake, []byte{24, 0, 0x10, 0}) },
		"a message of 16 MiB": func(w *recordWriter) {
			w.add(recordHandshake, append([]byte{24, 0xff, 0xff, 0xff}, make([]byte, 1000)...))
		},
		"a record that is not sealed":   func(w *recordWriter) { w.out.Write(append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)) },
		"a change of the cipher, often": func(w *recordWriter) { w.out.Write([]byte{20, 3, 3, 0, 1, 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := startRecords(t, c.k)
			for range 2000 {
				add(w)
			}
			before := c.spent()
			_ = w.send() // it may be cut off in the middle of this
			eventually(t, "the connection has ended", func() bool { return c.spent().Counts.Connections < before.Counts.Connections })
			after := c.spent()
			if took := after.CPU - before.CPU; took > limit {
				t.Errorf("%v of CPU, more than %v", took, limit)
			}
			if after.Counts.Requests != before.Counts.Requests || after.Heap > before.Heap+handshakeSlack+1<<20 {
				t.Errorf("before %+v, after %+v", before, after)
			}
		})
	}
}

// TestTLSManyKeys has a client change its keys sixteen times before each byte of a body,
// which is allowed; others go on.
func TestTLSManyKeys(t *testing.T) {
	c := startSecuredChild(t, startSite(t, saying("ok")))
	asking := startAsking(t, c.k, "http/1.1")
	bytes := 2000
	if raceDetector {
		bytes = 200
	}
	before := c.spent()
	w := startRecords(t, c.k)
	w.add(recordApplication, fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", bytes))
	for range bytes {
		for range 16 {
			w.addKeyUpdate(0)
		}
		w.add(recordApplication, []byte("x"))
	}
	if err := w.send(); err != nil {
		t.Error(err)
	}
	b := make([]byte, 12)
	if _, err := io.ReadFull(w.conn, b); err != nil || string(b) != "HTTP/1.1 200" {
		t.Errorf("%q, %v", b, err)
	}
	w.conn.Close()
	took := c.spent().CPU - before.CPU
	n, most := asking.end()
	t.Logf("%d changes of keys took %v of CPU; of %d others 99%% within %v", 16*bytes, took, n, most)
	if n < 5 || most > othersWait() {
		t.Errorf("%d others were answered, 99%% within %v", n, most)
	}
}

// TestTLSOneByteRecords has a request come in records of a byte each, all at once: others
// go on, and it is answered.
func TestTLSOneByteRecords(t *testing.T) {
	const size = 100_000
	c := startSecuredChild(t, startSite(t, func(rw http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if n == size {
			io.WriteString(rw, "whole")
			return
		}
		io.WriteString(rw, "ok")
	}))
	var all []*recordWriter
	for range 4 {
		w := startRecords(t, c.k)
		for _, b := range fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", size) {
			w.add(recordApplication, []byte{b})
		}
		for range size {
			w.add(recordApplication, []byte("x"))
		}
		all = append(all, w)
	}
	asking := startAsking(t, c.k, "http/1.1", "h2")
	var sending sync.WaitGroup
	for _, w := range all {
		sending.Go(func() {
			if err := w.send(); err != nil {
				t.Error(err)
			}
			if b, err := io.ReadAll(w.conn); err != nil || !strings.HasSuffix(string(b), "\r\n\r\nwhole") {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
	sending.Wait()
	n, most := asking.end()
	t.Logf("of %d others 99%% within %v", n, most)
	if n < 10 || most > othersWait() {
		t.Errorf("%d others were answered, 99%% within %v", n, most)
	}
}

// TestTLSGarbage has clients say 64 KiB of what begins like a handshake.
func TestTLSGarbage(t *testing.T) {
	c := startSecuredChild(t, startBackend(t, serveFast))
	before := c.spent()
	record := func(b []byte) []byte {
		head := []byte{recordHandshake, 3, 1, 0, 0}
		binary.BigEndian.PutUint16(head[3:], uint16(len(b)))
		return append(head, b...)
	}
	var send []byte
	for i := range 65 {
		b := make([]byte, 1<<10)
		if i == 0 {
			copy(b, []byte{1, 0, 0xff, 0xff})
		}
		send = append(send, record(b)...)
	}
	for _, b := range [][]byte{send, bytes.Repeat(record(nil), 13_000), record(bytes.Repeat([]byte{1, 0, 0, 0}, 4000))} {
		conn := connect(t, c.k)
		conn.Write(b)
		if answer, err := io.ReadAll(conn); err == nil && (len(answer) != 7 || answer[0] != 21) {
			t.Errorf("answered %q, want an alert", answer)
		}
	}
	took := c.spent().CPU - before.CPU
	eventually(t, "they are gone", func() bool { return c.spent().Counts.Connections == 0 })
	if after := c.spent(); after.Counts.Secure.HandshakesFailed != 3 || took > 3*time.Second || after.Heap > before.Heap+handshakeSlack+1<<20 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
