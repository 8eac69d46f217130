package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// trusting is a client that trusts a root and nobody else. A field Host:NAME says also
// which name it asks for in the handshake.
func trusting(ts *testscript.TestScript, root string, fields []string) *http.Client {
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM([]byte(ts.ReadFile(root))) {
		ts.Fatalf("%s is no certificate", root)
	}
	for _, f := range fields {
		if name, value, _ := strings.Cut(f, ":"); name == "Host" {
			config.ServerName, _, _ = strings.Cut(value, ":")
		}
	}
	client := web(nil)
	client.Transport.(*http.Transport).TLSClientConfig = config
	return client
}

// secure ROOT URL [N] [NAME:VALUE...]: as get, over TLS, by a client that trusts ROOT.
func verbSecure(ts *testscript.TestScript, neg bool, args []string) {
	client := trusting(ts, args[0], args[2:])
	if !neg {
		fetchPages(ts, client, args[1], args[2:])
		return
	}
	resp, err := client.Do(request(ts, args[1], args[2:]))
	if err == nil {
		ts.Fatalf("%s answers %s", args[1], resp.Status)
	}
	fmt.Fprintln(ts.Stderr(), err)
}

// canary KEY [FILE...]: no part of a private key is in any other file of the session's
// folder than these, nor in what the last program printed. Patterns may be given.
func verbCanary(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		ts.Fatalf("%s is no key", args[0])
	}
	half := block.Bytes[len(block.Bytes)/4 : len(block.Bytes)/2] // the secret part of a PKCS #8 key on P-256
	signs := [][]byte{half, []byte(hex.EncodeToString(half))}
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 30 && !strings.HasPrefix(line, "-") {
			signs = append(signs, []byte(line))
		}
	}
	shows := func(data []byte) bool {
		return slices.ContainsFunc(signs, func(sign []byte) bool { return bytes.Contains(data, sign) })
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if shows([]byte(ts.ReadFile(stream))) {
			ts.Fatalf("the key of %s is in %s", args[0], stream)
		}
	}
	kept := map[string]bool{}
	root := ts.MkAbs(".")
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !shows(data) {
			return err
		}
		for _, pattern := range args {
			if ok, _ := filepath.Match(pattern, name); ok {
				kept[pattern] = true
				return nil
			}
		}
		return fmt.Errorf("the key of %s is in %s", args[0], name)
	}))
	for _, pattern := range args {
		if !kept[pattern] {
			ts.Fatalf("the key of %s is not in %s", args[0], pattern)
		}
	}
}
