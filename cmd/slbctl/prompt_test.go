package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestConfirm(t *testing.T) {
	for _, tt := range []struct {
		input string
		ok    bool
		want  string
	}{
		{input: "yes\n", ok: true},
		{input: " yes \r\n", ok: true},
		{input: "yes", ok: true}, // a terminal's end without a line's
		{input: "y\n", want: "not 'yes'"},
		{input: "YES\n", want: "not 'yes'"},
		{input: "\n", want: "not 'yes'"},
		{input: "", want: "standard input ended"},
	} {
		var asked bytes.Buffer
		s := &session{ctx: t.Context(), stdin: strings.NewReader(tt.input), stderr: &asked}
		err := s.confirm("Really?", "It cannot be undone.")
		if tt.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("answer %q: %v", tt.input, err)
		}
		if text := asked.String(); !strings.Contains(text, "Really?") || !strings.Contains(text, "'yes'") {
			t.Errorf("the question was %q", text)
		}
	}
}

func TestConfirmEndsWithInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	never, w := io.Pipe()
	defer w.Close()
	s := &session{ctx: ctx, stdin: never, stderr: io.Discard}
	ended := make(chan error, 1)
	go func() { ended <- s.confirm("Really?", "") }()
	cancel(errInterrupted)
	select {
	case err := <-ended:
		if codeOf(err) != exitInterrupted {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the question outlived the interrupt")
	}
}

func TestMayAsk(t *testing.T) {
	if err := (&session{ask: false}).mayAsk(false); err == nil || !strings.Contains(err.Error(), "-auto-approve") {
		t.Errorf("with nobody to ask: %v", err)
	}
	if err := errors.Join((&session{ask: true}).mayAsk(false), (&session{}).mayAsk(true)); err != nil {
		t.Error(err)
	}
}
