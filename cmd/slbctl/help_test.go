package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func nodes(root *kong.Node) []*kong.Node {
	all := []*kong.Node{root}
	for _, c := range root.Children {
		if !c.Hidden {
			all = append(all, nodes(c)...)
		}
	}
	return all
}

// TestHelpFitsAScreen holds every page to a terminal of 80 by 40, with an example.
func TestHelpFitsAScreen(t *testing.T) {
	s := &session{ctx: context.Background(), stdout: io.Discard, stderr: io.Discard}
	k, _, err := newParser(s)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, n := range nodes(k.Model.Node) {
		path := pathOf(n)
		seen[path] = true
		var b bytes.Buffer
		if err := writeHelp(&b, n); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		lines := strings.Split(text, "\n")
		longest := 40
		if path == "" {
			longest = 50 // it lists the commands
		}
		if len(lines) > longest {
			t.Errorf("help of %q has %d lines", path, len(lines))
		}
		for _, l := range lines {
			if len([]rune(l)) > helpWidth || strings.TrimRight(l, " ") != l {
				t.Errorf("help of %q: %q is too wide or ends in blanks", path, l)
			}
		}
		if !strings.Contains(text, "\nExamples\n") {
			t.Errorf("help of %q has no example", path)
		}
		for _, f := range n.Flags {
			if !f.Hidden && f.Name != "help" && !strings.Contains(text, "-"+f.Name) {
				t.Errorf("help of %q does not show -%s", path, f.Name)
			}
		}
	}
	for path := range pages {
		if !seen[path] {
			t.Errorf("there is a page for %q, which is no command", path)
		}
	}
}

// TestEveryCommandIsInAGroup keeps commands from being left out of the list.
func TestEveryCommandIsInAGroup(t *testing.T) {
	s := &session{ctx: context.Background(), stdout: io.Discard, stderr: io.Discard}
	k, _, err := newParser(s)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := writeHelp(&b, k.Model.Node); err != nil {
		t.Fatal(err)
	}
	for _, c := range k.Model.Children {
		if !strings.Contains(b.String(), "\n  "+c.Name+" ") {
			t.Errorf("%s is not listed", c.Name)
		}
	}
}
