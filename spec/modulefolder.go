package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Limits of the folders that modules come from: links can make them endless.
const (
	maxModuleDepth   = 20
	maxModuleFolders = 1000
)

// readModules reads the folders of a module's module blocks, and of the blocks in these;
// around are the folders that lead there. It returns false when the syntax of any is
// broken or something is not there.
func (l *loader) readModules(m *module, around []string) bool {
	sound := true
	around = append(slices.Clone(around), m.source)
	for _, name := range sortedKeys(m.calls) {
		c := m.calls[name]
		if c.folder = l.folderOf(c, around); c.folder == nil {
			sound = false
			continue
		}
		l.checkArguments(c)
	}
	return sound
}

// folderOf reads the folder of a module block, if no other block did before.
func (l *loader) folderOf(c *call, around []string) *module {
	source, rng, ok := l.sourceOf(c)
	if !ok {
		return nil
	}
	path := filepath.ToSlash(filepath.Join(c.module.source, source))
	if at := slices.Index(around, path); at >= 0 {
		l.reports.error(rng, "Module in itself", fmt.Sprintf("The files in %s use themselves: %s.", path, strings.Join(append(slices.Clone(around[at:]), path), " -> ")),
			"A module cannot be a part of itself.")
		return nil
	}
	if known := l.sources[path]; known != nil {
		return known
	}
	if len(around) > maxModuleDepth {
		l.reports.error(rng, "Modules nested too deeply", fmt.Sprintf("Modules may stand inside each other %d levels deep.", maxModuleDepth), "")
		return nil
	}
	if len(l.sources) >= maxModuleFolders {
		l.reports.error(rng, "Too many module folders", fmt.Sprintf("Modules may come from %d folders.", maxModuleFolders), "")
		return nil
	}
	names, err := configFiles(filepath.Join(l.dir, path))
	switch {
	case errors.Is(err, os.ErrNotExist):
		l.reports.error(rng, "No such module", fmt.Sprintf("There is no folder %s.", path), l.nearFolder(path))
		return nil
	case err != nil:
		l.reports.error(rng, "No such module", fmt.Sprintf("%s: %v.", path, inFolder(err)), "")
		return nil
	case len(names) == 0:
		hint := ""
		if foreign, _ := filepath.Glob(filepath.Join(l.dir, path, "*.tf")); len(foreign) > 0 { // the pattern is not malformed
			hint = "Terraform's resources have other names here: slbctl schema lists them."
		}
		l.reports.error(rng, "Module without files", fmt.Sprintf("There is no *.slb.hcl file in %s.", path), hint)
		return nil
	}
	for i := range names {
		names[i] = filepath.ToSlash(filepath.Join(path, names[i]))
	}
	m := newModule(path)
	l.sources[path] = m
	l.files.admit(path)
	sound := l.parse(m, names)
	if !l.readModules(m, around) || !sound {
		return nil
	}
	return m
}

// sourceOf is the source of a module block: a folder relative to that of its file.
func (l *loader) sourceOf(c *call) (source string, rng hcl.Range, ok bool) {
	a := c.arguments["source"]
	if a == nil {
		l.reports.error(c.block.DefRange, "Missing argument", "A module block needs the argument source.", `Write source = "./modules/NAME".`)
		return "", rng, false
	}
	rng = a.Expr.Range()
	v, diags := a.Expr.Value(&hcl.EvalContext{})
	if diags.HasErrors() || v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		l.reports.error(rng, "Invalid source", "The source of a module is a text without variables or functions: files are read before anything is evaluated.",
			`Write source = "./modules/NAME".`)
		return "", rng, false
	}
	source = v.AsString()
	if strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../") || source == "." || source == ".." {
		return source, rng, true
	}
	hint := `Copy it into a folder of yours and write source = "./modules/NAME".`
	if info, err := os.Stat(filepath.Join(l.dir, c.module.source, source)); err == nil && info.IsDir() && source != "" && !filepath.IsAbs(source) {
		hint = fmt.Sprintf("Write source = %q.", "./"+source)
	}
	l.reports.error(rng, "Not a local module", fmt.Sprintf("Modules come from folders of this machine, by a path that begins with ./ or ../, not from %q.", source), hint)
	return "", rng, false
}

// nearFolder suggests a folder whose name is like that of one which is not there.
func (l *loader) nearFolder(path string) string {
	parent, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Join(l.dir, parent))
	if err != nil {
		return "" // it is not there either
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return didYouMean(base, names)
}
