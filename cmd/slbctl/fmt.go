package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"slbctl/runtime/durable"
	"slbctl/spec"
)

// fmtCmd rewrites files in the one style that there is.
type fmtCmd struct {
	Files []string `arg:"" optional:"" name:"file" help:"Files or folders; - is standard input. Without any, the folder's *.slb.hcl."`
	Check bool     `help:"Write nothing; exit with 2 when a file would change."`
	Diff  bool     `help:"Show what changes."`

	Recursive bool `help:"Also the files in the folders inside."`
}

func (c *fmtCmd) Run(s *session) error {
	if len(c.Files) == 1 && c.Files[0] == "-" {
		return c.standardInput(s)
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	changed := false
	var mistakes spec.Diagnostics
	for _, name := range files {
		differs, diags, err := c.file(s, name)
		if err != nil {
			return err
		}
		mistakes = append(mistakes, diags...)
		changed = changed || differs
	}
	switch {
	case mistakes.HasErrors():
		return mistakes
	case changed && c.Check:
		return outcome(exitChanges)
	}
	return nil
}

func (c *fmtCmd) files() ([]string, error) {
	given := c.Files
	if len(given) == 0 {
		given = []string{"."}
	}
	var files []string
	for _, name := range given {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return nil, err
		case !info.IsDir():
			files = append(files, name)
			continue
		}
		inside, err := c.inFolder(name)
		if err != nil {
			return nil, err
		}
		files = append(files, inside...)
	}
	return files, nil
}

// inFolder lists the files in a folder; those of hidden folders are nobody's to format.
func (c *fmtCmd) inFolder(folder string) (files []string, err error) {
	err = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != folder && (!c.Recursive || strings.HasPrefix(e.Name(), ".")):
			return fs.SkipDir
		case !e.IsDir() && strings.HasSuffix(path, ".slb.hcl"):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

func (c *fmtCmd) standardInput(s *session) error {
	src, err := io.ReadAll(s.stdin)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	out, diags := spec.Format("<stdin>", src)
	if diags.HasErrors() {
		return diags
	}
	differs := !bytes.Equal(src, out)
	switch {
	case c.Diff:
		_, err = io.WriteString(s.stdout, udiff.Unified("<stdin>", "<stdin> formatted", string(src), string(out)))
	case !c.Check:
		_, err = s.stdout.Write(out)
	}
	if err == nil && c.Check && differs {
		return outcome(exitChanges)
	}
	return err
}

// file formats one file and says whether it was in another style.
func (c *fmtCmd) file(s *session, name string) (differs bool, _ spec.Diagnostics, err error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return false, nil, err
	}
	out, diags := spec.Format(name, src)
	if diags.HasErrors() || bytes.Equal(src, out) {
		return false, diags, nil
	}
	text := name + "\n"
	if c.Diff {
		text = udiff.Unified(name, name+" formatted", string(src), string(out))
	}
	if _, err := io.WriteString(s.stdout, text); err != nil {
		return true, nil, err
	}
	if c.Check {
		return true, nil, nil
	}
	return true, nil, rewrite(name, out)
}

// rewrite replaces a file's content and keeps its mode; a link stays a link.
func rewrite(name string, content []byte) error {
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return durable.WriteFile(durable.OS, path, content, info.Mode().Perm())
}
