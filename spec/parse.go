package spec

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"golang.org/x/sync/errgroup"
)

// piece is a part of a file that is parsed on its own, with what that gave.
type piece struct {
	file string
	chunk
	body hcl.Body // nil while it is not parsed, or when it cannot be
}

// window is how many pieces are parsed before their blocks are declared: enough for
// several processors, few enough for their syntax trees to be small.
const window = 64

// parse reads and parses files and declares their blocks in a module. It returns false
// when the syntax is broken: then nothing is evaluated, because what refers to a
// block that could not be read is not wrong.
func (l *loader) parse(m *module, names []string) bool {
	before := l.reports.count()
	pieces := l.cutFiles(names)
	sound := l.reports.count() == before
	for pieces := range slices.Chunk(pieces, window) {
		before := l.reports.count()
		l.parsePieces(pieces)
		sound = sound && l.reports.count() == before
		for i := range pieces {
			if p := &pieces[i]; p.body != nil {
				l.declareAll(m, p.file, p.body)
				p.body = nil
			}
		}
	}
	return sound
}

// cutFiles reads files and gives the pieces of those that keep the limits.
func (l *loader) cutFiles(names []string) (pieces []piece) {
	for _, name := range names {
		src, err := readLimited(os.Open(filepath.Join(l.dir, name)))
		if err != nil {
			l.reports.general("Unreadable file", fmt.Sprintf("%s: %v.", name, err), "")
			continue
		}
		l.reports.source(name, src)
		if strings.HasSuffix(name, ".json") {
			pieces = append(pieces, piece{file: name, chunk: chunk{src: src}})
			continue
		}
		chunks, limit := scan(src)
		if limit != nil {
			l.overLimit(name, src, limit)
		}
		for _, c := range chunks {
			pieces = append(pieces, piece{file: name, chunk: c})
		}
	}
	return pieces
}

// parsePieces parses some at once.
func (l *loader) parsePieces(pieces []piece) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	const batch = 8
	for some := range slices.Chunk(pieces, batch) {
		group.Go(func() error {
			for i := range some {
				p := &some[i]
				if strings.HasSuffix(p.file, ".json") {
					p.body = l.parseJSON(p.file, p.src)
					continue
				}
				file, diags := hclsyntax.ParseConfig(p.src, p.file, p.start)
				l.reports.hcl(diags)
				p.body = file.Body
			}
			return nil
		})
	}
	group.Wait() // no goroutine of it returns an error
}

// guard checks the limits of a file that is parsed whole.
func (l *loader) guard(name string, src []byte) bool {
	check := func(src []byte) *limitError {
		_, limit := scan(src)
		return limit
	}
	if strings.HasSuffix(name, ".json") {
		check = scanJSON
	}
	if limit := check(src); limit != nil {
		l.overLimit(name, src, limit)
		return false
	}
	return true
}

func (l *loader) overLimit(name string, src []byte, limit *limitError) {
	end := limit.pos
	if end.Byte < len(src) {
		end.Byte++
		end.Column++
	}
	l.reports.error(hcl.Range{Filename: name, Start: limit.pos, End: end}, limit.summary, limit.detail, "")
}

func (l *loader) parseJSON(name string, src []byte) hcl.Body {
	if !l.guard(name, src) {
		return nil
	}
	file, diags := json.Parse(src, name)
	l.reports.hcl(diags)
	if diags.HasErrors() || file == nil {
		return nil
	}
	return file.Body
}

// scanJSON bounds the nesting of a JSON file, and that of the templates in its strings.
func scanJSON(src []byte) *limitError {
	if limit := validText(src); limit != nil {
		return limit
	}
	depth, line, lineStart := 0, 1, 0
	for i := 0; i < len(src); i++ {
		at := hcl.Pos{Line: line, Column: i - lineStart + 1, Byte: i}
		switch src[i] {
		case '\n':
			line, lineStart = line+1, i+1
		case '{', '[':
			if depth++; depth > maxDepth {
				return &limitError{at, "Nested too deeply", fmt.Sprintf("Brackets may stand inside each other %d levels deep.", maxDepth)}
			}
		case '}', ']':
			depth--
		case '"':
			end := endOfString(src, i)
			if limit := scanText(src[i:end]); limit != nil {
				limit.pos = at
				return limit
			}
			i = end - 1
		}
	}
	return nil
}

// endOfString is the offset after the string that begins at start.
func endOfString(src []byte, start int) int {
	for i := start + 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		case '\n':
			return i // broken: the parser will say so
		}
	}
	return len(src)
}

func scanText(quoted []byte) *limitError {
	if !bytes.ContainsAny(quoted, "$%\\") {
		return nil
	}
	var text string
	if stdjson.Unmarshal(quoted, &text) != nil {
		text = string(quoted)
	}
	return scanTemplate([]byte(text))
}

// rootSchema is what may stand at the top level of a file.
func rootSchema() *hcl.BodySchema {
	schema := &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "variable", LabelNames: []string{"name"}}, {Type: "output", LabelNames: []string{"name"}}, {Type: "locals"},
		{Type: moduleRoot, LabelNames: []string{"name"}},
	}}
	for _, k := range resourceKinds {
		if k.parent == nil {
			schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: k.name, LabelNames: []string{"name"}})
		}
	}
	for _, b := range settingBlocks {
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: b.name, LabelNames: b.labelNames()})
	}
	return schema
}

// declareAll sorts a file's top-level blocks by what they are.
func (l *loader) declareAll(m *module, name string, body hcl.Body) {
	schema := rootSchema()
	native, ok := body.(*hclsyntax.Body)
	if !ok {
		for _, later := range laterKinds {
			schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: later})
		}
		schema.Blocks = append(schema.Blocks, terraformSchema...)
		content, diags := body.Content(schema)
		l.jsonNames(diags, "a configuration", func(name string) string { return rootAdvice(schema, name) })
		for _, block := range content.Blocks {
			if advice := fromTerraform(block.Type, block.Labels); advice != "" {
				rng := block.TypeRange // that of all of this type
				if len(block.LabelRanges) > 0 {
					rng = block.LabelRanges[0]
				}
				l.reports.error(rng, "Unsupported block", fmt.Sprintf("There is no block %q.", block.Type), advice)
				continue
			}
			l.declare(m, block)
		}
		return
	}
	for _, a := range native.Attributes {
		l.reports.error(a.NameRange, "Unsupported argument", "Arguments stand inside of blocks.", rootAdvice(schema, a.Name))
	}
	for _, inner := range native.Blocks {
		block := inner.AsHCLBlock()
		l.reports.place(name, block, inner.Body.EndRange.End.Byte)
		i := slices.IndexFunc(schema.Blocks, func(h hcl.BlockHeaderSchema) bool { return h.Type == block.Type })
		switch {
		case slices.Contains(laterKinds, block.Type):
			l.declare(m, block)
		case i < 0:
			l.reports.error(inner.TypeRange, "Unsupported block", fmt.Sprintf("There is no block %q.", block.Type), cmp.Or(fromTerraform(block.Type, block.Labels), rootAdvice(schema, block.Type)))
		case l.checkLabels(block.Type, schema.Blocks[i].LabelNames, inner):
			l.declare(m, block)
		}
	}
}

func rootAdvice(schema *hcl.BodySchema, name string) string {
	switch name {
	case "listener", "backend":
		return "Write it inside a load_balancer block."
	case "record":
		return "Write it inside a dns_zone block."
	case "rule", "redirect", "sticky_session", "health_check", "x_forwarded_for", "access_log", "retry":
		return "Write it inside a listener block."
	case "access_control_list", "security_group":
		return "Write acl \"NAME\" { entries = [...] }."
	case "check", "validation":
		return ""
	}
	names := slices.Clone(laterKinds)
	for _, b := range schema.Blocks {
		names = append(names, b.Type)
	}
	return didYouMean(name, names)
}

func (l *loader) declare(m *module, block *hcl.Block) {
	switch {
	case block.Type == "variable":
		l.declareVariable(m, block)
	case block.Type == "output":
		l.declareOutput(m, block)
	case block.Type == "locals":
		l.declareLocals(m, block)
	case block.Type == moduleRoot:
		l.declareCall(m, block)
	case slices.Contains(laterKinds, block.Type):
		l.notYet(block.DefRange, "The block "+block.Type)
	case kindNamed(block.Type) != nil:
		l.declareResource(m, kindNamed(block.Type), block)
	case m != l.root:
		l.reports.error(block.DefRange, "Not in a module", fmt.Sprintf("%s block stands in the configuration itself, not in a module.", capital(article(block.Type))), rootOnlyHints[block.Type])
	default:
		for _, b := range settingBlocks {
			if b.name == block.Type && l.checkNames(b, block.Body) {
				l.settings[b.name] = append(l.settings[b.name], block)
			}
		}
	}
}

// rootOnlyHints say how a configuration does for its modules what they cannot do.
var rootOnlyHints = map[string]string{
	"moved":      "Write the whole addresses there: from = module.NAME.instance.A.",
	"removed":    "Write the whole address there: from = module.NAME.instance.A.",
	"test":       "What the module offers can be tested there.",
	"simulation": "What the module offers can be simulated there.",
}

func (l *loader) declareResource(m *module, k *kind, block *hcl.Block) {
	name := block.Labels[0]
	if earlier := m.definitions[k.name][name]; earlier != nil {
		l.duplicate(k.name, name, block.DefRange, earlier.block.DefRange)
		return
	}
	def := &definition{kind: k, name: name, dynamic: isDynamic(block.Body)}
	if a := argument(block.Body, "ports"); a != nil {
		def.ports = a.Expr.Range()
	}
	def.repeated = repeatable(m, formatAddress(k.name, name), block)
	m.definitions[k.name][name] = def
	switch {
	case k.label != nil:
		if err := k.label(name); err != nil {
			l.reports.error(block.LabelRanges[0], "Invalid name", capital(err.Error())+".", "")
		}
	case len(name) > 80:
		l.reports.error(block.LabelRanges[0], "Invalid name", fmt.Sprintf("The name of %s has 80 characters at most, not %d.", article(k.name), len(name)), "")
	case !validIdentifier(name):
		l.reports.error(block.LabelRanges[0], "Invalid name", fmt.Sprintf("%q is no name for %s.", name, article(k.name)), nameHint)
	}
	if def.broken = !l.checkNames(k.block, block.Body); !def.broken {
		l.readAhead(def)
	}
}

// repeatable is a block of a module with what repeats it.
func repeatable(m *module, address string, block *hcl.Block) repeated {
	r := repeated{module: m, address: address, block: block}
	if a := argument(block.Body, "count"); a != nil {
		r.count = a.Expr
	}
	if a := argument(block.Body, "for_each"); a != nil {
		r.forEach = a.Expr
	}
	return r
}

// isDynamic reports whether a body has to be read through dynblock.
func isDynamic(body hcl.Body) bool {
	native, ok := body.(*hclsyntax.Body)
	return !ok || hasDynamic(native)
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
