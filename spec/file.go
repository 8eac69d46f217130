package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// folder reads files for file() and templatefile(). It is opened at the first use
// and does not follow a path or link out of the configuration's folder, but into those of
// its modules.
type folder struct {
	dir     string
	root    *os.Root
	outside map[string]*os.Root // folders of modules that lie elsewhere, by their paths; nil until used
	seen    map[string]string
}

// admit lets files be read in the folder of a module as well.
func (f *folder) admit(module string) {
	if strings.HasPrefix(module, "..") {
		if f.outside == nil {
			f.outside = map[string]*os.Root{}
		}
		f.outside[module] = nil
	}
}

// place finds the folder that a file is in, and its path there.
func (f *folder) place(path string) (*os.Root, string, error) {
	clean := filepath.ToSlash(filepath.Clean(path))
	for _, module := range sortedKeys(f.outside) {
		inner, ok := strings.CutPrefix(clean, module+"/")
		if !ok || strings.HasPrefix(inner, "..") {
			continue
		}
		if f.outside[module] == nil {
			root, err := os.OpenRoot(filepath.Join(f.dir, module))
			if err != nil {
				return nil, "", err
			}
			f.outside[module] = root
		}
		return f.outside[module], inner, nil
	}
	return f.root, path, nil
}

var errTooLarge = fmt.Errorf("larger than %d MiB", maxFileSize>>20)

func (f *folder) read(path string) (string, error) {
	if content, ok := f.seen[path]; ok {
		return content, nil
	}
	if err := f.open(); err != nil {
		return "", err
	}
	if filepath.IsAbs(path) {
		return "", fmt.Errorf("file %q: write a path relative to the configuration's folder", path)
	}
	root, inner, err := f.place(path)
	if err != nil {
		return "", fmt.Errorf("file %q: %w", path, inFolder(err))
	}
	content, err := readLimited(openRegular(root, inner))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("file %q: there is no such file in the configuration's folder", path)
	case err != nil:
		return "", fmt.Errorf("file %q: %w", path, inFolder(err))
	case !utf8.Valid(content):
		return "", fmt.Errorf("file %q: not UTF-8 text", path)
	}
	f.seen[path] = string(content)
	return string(content), nil
}

func (f *folder) open() error {
	if f.root != nil {
		return nil
	}
	root, err := os.OpenRoot(f.dir)
	if err == nil {
		f.root, f.seen = root, map[string]string{}
	}
	return err
}

// directory says what keeps a folder inside this one from being a site. The
// configuration's own folder has its secrets in it.
func (f *folder) directory(path string) error {
	if err := f.open(); err != nil {
		return err
	}
	switch {
	case filepath.IsAbs(path):
		return fmt.Errorf("folder %q: write a path relative to the configuration's folder", path)
	case filepath.Clean(path) == ".":
		return fmt.Errorf("folder %q: it is the configuration's own", path)
	case strings.HasPrefix(filepath.Base(path), "."):
		return fmt.Errorf("folder %q: what begins with a dot is not shown to anybody", path)
	}
	info, err := f.root.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("folder %q: there is no such folder beside the configuration", path)
	case err != nil:
		return fmt.Errorf("folder %q: %w", path, inFolder(err))
	case !info.IsDir():
		return fmt.Errorf("%q is not a folder", path)
	}
	return nil
}

// inFolder is what went wrong with a path, in our words.
func inFolder(err error) error {
	var wrapped *os.PathError
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if strings.Contains(err.Error(), "escapes") { // os.Root has no exported error for it
		return errors.New("it lies outside of the configuration's folder")
	}
	return err
}

// openRegular refuses what would block or never end.
func openRegular(root *os.Root, path string) (*os.File, error) {
	info, err := root.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return root.Open(path)
}

func (f *folder) close() {
	if f.root != nil {
		f.root.Close() // only read from
	}
	for _, root := range f.outside {
		if root != nil {
			root.Close()
		}
	}
}

// readLimited reads a whole file of at most maxFileSize, and closes it.
func readLimited(f *os.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileSize {
		return nil, errTooLarge
	}
	var src bytes.Buffer
	src.Grow(int(info.Size()) + bytes.MinRead) // no larger than what follows needs
	if _, err := src.ReadFrom(io.LimitReader(f, maxFileSize+1)); err != nil {
		return nil, err
	}
	if src.Len() > maxFileSize {
		return nil, errTooLarge // it grew
	}
	return src.Bytes(), nil
}

func (f *folder) function() function.Function {
	return fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
		content, err := f.read(args[0].AsString())
		return cty.StringVal(content), err
	}, cty.String)
}

// templateFile renders a file of the folder as a template. Templates cannot
// render templates, so they end.
func (l *loader) templateFile() function.Function {
	render := func(args []cty.Value) (cty.Value, error) {
		path := args[0].AsString()
		content, err := l.files.read(path)
		if err != nil {
			return cty.DynamicVal, err
		}
		if limit := scanTemplate([]byte(content)); limit != nil {
			return cty.DynamicVal, fmt.Errorf("file %q: %s", path, limit.detail)
		}
		expr, diags := hclsyntax.ParseTemplate([]byte(content), path, hcl.InitialPos)
		if diags.HasErrors() {
			return cty.DynamicVal, diags
		}
		if t := args[1].Type(); !t.IsObjectType() && !t.IsMapType() {
			return cty.DynamicVal, fmt.Errorf("the variables of a template must be an object or a map")
		}
		functions := map[string]function.Function{}
		for name, fn := range l.base.Functions {
			if name != "templatefile" {
				functions[name] = fn
			}
		}
		v, diags := expr.Value(&hcl.EvalContext{Variables: args[1].AsValueMap(), Functions: functions})
		if diags.HasErrors() {
			return cty.DynamicVal, diags
		}
		return v, nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := render(args)
			if err != nil {
				return cty.NilVal, err
			}
			return toText(v)
		},
	})
}

func toText(v cty.Value) (cty.Value, error) {
	v, marks := v.Unmark()
	if v.IsNull() || v.Type() != cty.String && v.Type() != cty.Number && v.Type() != cty.Bool {
		return cty.NilVal, fmt.Errorf("the template does not make a text")
	}
	if v.Type() == cty.String {
		return v.WithMarks(marks), nil
	}
	return cty.StringVal(fmt.Sprint(fromCty(v))).WithMarks(marks), nil
}
