// Package wire holds what clients may send to an HTTP listener, byte by byte, with
// one verdict each; README.md has the format of the files.
//
//	vectors, err := wire.Vectors()
//	for _, v := range vectors { // send v.Bytes, expect v.Statuses …
package wire

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed *.txt
var files embed.FS

// Vector is what a client sends and what has to come of it.
type Vector struct {
	Name     string // "framing/two equal CL"
	Bytes    []byte
	Statuses []int // of the answers, in order
	Open     bool  // the connection stays open after them
	Requests int   // whole requests that the server gets
	Has      []string
	Lacks    []string
}

// Vectors reads all of them, in order of file and line.
func Vectors() ([]Vector, error) {
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		return nil, err
	}
	var all []Vector
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if all, err = read(all, strings.TrimSuffix(name, ".txt"), string(text)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// read appends the vectors of one file.
func read(all []Vector, file, text string) ([]Vector, error) {
	var v *Vector
	for number, line := range strings.Split(text, "\n") {
		key, rest, _ := strings.Cut(line, " ")
		var err error
		switch {
		case line == "" || key == "#":
			continue
		case key == "=":
			all = append(all, Vector{Name: file + "/" + rest})
			v = &all[len(all)-1]
			continue
		case v == nil:
			err = fmt.Errorf("%q stands before the first vector", key)
		default:
			err = v.set(key, rest)
		}
		if err != nil {
			return nil, fmt.Errorf("%s.txt:%d: %w", file, number+1, err)
		}
	}
	return all, nil
}

// set takes one line of a vector.
func (v *Vector) set(key, rest string) error {
	if key == "want" {
		return v.want(strings.Fields(rest))
	}
	text, err := strconv.Unquote(`"` + rest + `"`)
	if err != nil {
		return fmt.Errorf("%q is not the inside of a Go string", rest)
	}
	switch {
	case key == "has":
		v.Has = append(v.Has, text)
	case key == "lacks":
		v.Lacks = append(v.Lacks, text)
	case key == "|":
		v.Bytes = append(v.Bytes, text...)
	case strings.HasPrefix(key, "|*"):
		n, err := strconv.Atoi(key[2:])
		if err != nil {
			return fmt.Errorf("%q has no number of times", key)
		}
		v.Bytes = append(v.Bytes, bytes.Repeat([]byte(text), n)...)
	default:
		return fmt.Errorf("%q is not a key: =, |, |*N, has, lacks or want", key)
	}
	return nil
}

// want reads "200 400 closed 1" or "- open 0".
func (v *Vector) want(words []string) (err error) {
	n := len(words) - 2
	if n < 1 || words[n] != "open" && words[n] != "closed" {
		return fmt.Errorf("want is %q: statuses, open or closed, number of requests", words)
	}
	for _, word := range words[:n] {
		if word == "-" {
			continue
		}
		status, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("%q is not a status", word)
		}
		v.Statuses = append(v.Statuses, status)
	}
	v.Open = words[n] == "open"
	v.Requests, err = strconv.Atoi(words[n+1])
	return err
}
