package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// environPrefix begins the names of environment variables that set variables.
const environPrefix = "SLBCTL_VAR_"

// variable is an input of the configuration, or of a module.
type variable struct {
	lazy        // of a module's: the argument of its call
	name        string
	block       *hcl.Block
	typ         cty.Type
	defaults    *typeexpr.Defaults
	literal     bool // a value from outside is text, not an expression
	sensitive   bool
	nullable    bool
	fallback    *cty.Value
	validations hcl.Blocks

	given  *hcl.Attribute // from outside, the last one
	source string         // of given: "-var", a file, an environment variable
	value  cty.Value
	ok     bool
}

var variableSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "type"}, {Name: "default"}, {Name: "description"}, {Name: "sensitive"}, {Name: "nullable"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
}

var validationSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "condition", Required: true}, {Name: "error_message", Required: true}},
}

// declareVariable reads a variable block.
func (l *loader) declareVariable(m *module, block *hcl.Block) {
	name := block.Labels[0]
	if earlier := m.variables[name]; earlier != nil {
		l.duplicate("variable", name, block.DefRange, earlier.block.DefRange)
		return
	}
	v := &variable{name: name, block: block, typ: cty.DynamicPseudoType, literal: true, nullable: true, value: cty.DynamicVal}
	m.variables[name] = v
	if !validIdentifier(name) {
		l.reports.error(block.LabelRanges[0], "Invalid name", fmt.Sprintf("%q cannot be referred to as var.NAME.", name), nameHint)
		return
	}
	content, diags := block.Body.Content(variableSchema)
	l.reports.hcl(diags)
	if diags.HasErrors() {
		return
	}
	v.ok = true
	if a := content.Attributes["sensitive"]; a != nil {
		v.sensitive = l.constantBool(a)
		if v.sensitive {
			l.reports.hide(content.Attributes["default"])
		}
	}
	if a := content.Attributes["nullable"]; a != nil {
		v.nullable = l.constantBool(a)
	}
	if a := content.Attributes["description"]; a != nil {
		l.constantText(a)
	}
	if a := content.Attributes["type"]; a != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		l.reports.hcl(diags)
		v.ok = v.ok && !diags.HasErrors()
		v.typ, v.defaults, v.literal = typ, defaults, typ.IsPrimitiveType()
	}
	if a := content.Attributes["default"]; a != nil {
		l.defaultOf(v, a)
	}
	v.validations = content.Blocks
}

func (l *loader) defaultOf(v *variable, a *hcl.Attribute) {
	value, diags := a.Expr.Value(l.base)
	l.reports.hcl(diags)
	if diags.HasErrors() {
		v.ok = false
		return
	}
	if value, ok := l.convertTo(v, value, a.Expr.Range(), "The default"); ok {
		v.fallback = &value
	}
}

// convertTo gives a value the variable's type. The error does not say the value.
func (l *loader) convertTo(v *variable, value cty.Value, rng hcl.Range, what string) (cty.Value, bool) {
	if v.defaults != nil && !value.IsNull() {
		value = v.defaults.Apply(value)
	}
	converted, err := convertTo(value, v.typ)
	if err == nil {
		return converted, true
	}
	v.ok = false
	l.reports.error(rng, "Wrong type", fmt.Sprintf("%s of var.%s does not fit its type: %v.", what, v.name, err), "")
	return cty.DynamicVal, false
}

func (l *loader) constantBool(a *hcl.Attribute) bool {
	v, diags := a.Expr.Value(l.base)
	l.reports.hcl(diags)
	b, err := convert.Convert(v, cty.Bool)
	if diags.HasErrors() {
		return false
	}
	if err != nil || b.IsNull() || !b.IsKnown() {
		l.reports.error(a.Expr.Range(), "Wrong type", a.Name+" must be true or false.", "")
		return false
	}
	return b.True()
}

func (l *loader) constantText(a *hcl.Attribute) string {
	v, diags := a.Expr.Value(l.base)
	l.reports.hcl(diags)
	s, err := convert.Convert(v, cty.String)
	if diags.HasErrors() {
		return ""
	}
	if err != nil || s.IsNull() || !s.IsKnown() || s.IsMarked() {
		l.reports.error(a.Expr.Range(), "Wrong type", a.Name+" must be a string.", "")
		return ""
	}
	return s.AsString()
}

// assignVariables takes values from outside, the weakest source first, and
// settles every variable.
func (l *loader) assignVariables() {
	variables := l.root.variables
	for _, e := range l.opt.Environ {
		name, text, _ := strings.Cut(e, "=")
		if name, ok := strings.CutPrefix(name, environPrefix); ok && variables[name] != nil {
			l.assignText(variables[name], text, "environment variable "+environPrefix+name)
		}
	}
	for _, file := range l.opt.VarFiles {
		l.assignFile(file)
	}
	for _, setting := range l.opt.Vars {
		name, text, ok := strings.Cut(setting, "=")
		v := variables[name]
		switch {
		case !ok:
			l.reports.general("Invalid -var", fmt.Sprintf("-var %s has no value.", name), "Write -var NAME=VALUE.")
		case v == nil:
			l.reports.general("No such variable", fmt.Sprintf("-var sets %q, but no variable block declares it.", name),
				didYouMean(name, sortedKeys(variables)))
		default:
			l.assignText(v, text, "-var")
		}
	}
	for _, name := range sortedKeys(variables) {
		l.settle(variables[name])
	}
	for _, name := range sortedKeys(variables) {
		l.validate(l.root, variables[name], variables[name].block.DefRange)
	}
}

// assignText takes a value from the command line or environment: text where the
// type is primitive, an expression otherwise.
func (l *loader) assignText(v *variable, text, source string) {
	rng := hcl.Range{Filename: source, Start: hcl.InitialPos, End: hcl.InitialPos}
	v.source = source
	if v.literal {
		v.given = &hcl.Attribute{Name: v.name, Expr: hcl.StaticExpr(cty.StringVal(text), rng), Range: rng}
		return
	}
	expr, ok := l.parseExpression(text, source, v)
	if ok {
		v.given = &hcl.Attribute{Name: v.name, Expr: expr, Range: rng}
	}
}

// parseExpression parses a value from outside. Its text is never shown: it may
// be a secret.
func (l *loader) parseExpression(text, source string, v *variable) (hcl.Expression, bool) {
	if len(text) > maxFileSize {
		l.reports.general("Value too long", fmt.Sprintf("The value of var.%s from %s is longer than 4 MiB.", v.name, source), "")
		return nil, false
	}
	if _, limit := scan([]byte(text)); limit != nil {
		l.reports.general(limit.summary, fmt.Sprintf("The value of var.%s from %s: %s", v.name, source, limit.detail), "")
		return nil, false
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), source, hcl.InitialPos)
	if diags.HasErrors() {
		v.ok = false
		l.reports.general("Invalid value", fmt.Sprintf("The value of var.%s from %s is not an expression: %s.", v.name, source, diags[0].Summary),
			"Write lists as [\"a\", \"b\"] and maps as { a = \"b\" }.")
	}
	return expr, !diags.HasErrors()
}

// assignFile takes the values of a -var-file, in either syntax.
func (l *loader) assignFile(name string) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.dir, path)
	}
	src, err := readLimited(os.Open(path))
	if err != nil {
		l.reports.general("Unreadable variable file", fmt.Sprintf("-var-file %s: %v.", name, err), "")
		return
	}
	l.reports.source(name, src)
	if !l.guard(name, src) {
		return
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if strings.HasSuffix(name, ".json") {
		file, diags = json.Parse(src, name)
	} else {
		file, diags = hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	}
	l.reports.hcl(diags)
	if diags.HasErrors() {
		return
	}
	attrs, diags := file.Body.JustAttributes()
	l.reports.hcl(diags)
	for _, key := range sortedKeys(attrs) {
		a := attrs[key]
		v := l.root.variables[key]
		if v == nil {
			l.reports.warn(a.NameRange, "No such variable", fmt.Sprintf("No variable block declares %q.", key), didYouMean(key, sortedKeys(l.root.variables)))
			continue
		}
		if v.sensitive {
			l.reports.hide(a)
		}
		v.given, v.source = a, name
	}
}

// settle decides a variable's value.
func (l *loader) settle(v *variable) {
	if !v.ok {
		return
	}
	var value cty.Value
	switch {
	case v.given != nil:
		given, diags := v.given.Expr.Value(nil)
		l.reports.hcl(diags)
		if diags.HasErrors() {
			v.ok = false
			return
		}
		if value, v.ok = l.convertTo(v, given, v.given.Expr.Range(), "The value from "+v.source); !v.ok {
			return
		}
	case v.fallback != nil:
		value = *v.fallback
	default:
		v.ok = false
		l.reports.error(v.block.DefRange, "Variable without value", fmt.Sprintf("var.%s has no default, and nothing sets it.", v.name),
			fmt.Sprintf("Write -var %s=..., or set %s%s.", v.name, environPrefix, v.name))
		return
	}
	v.value, v.ok = l.finished(v, value, v.block.DefRange)
}

// finished gives a variable's value what its block says of null and secrets.
func (l *loader) finished(v *variable, value cty.Value, rng hcl.Range) (cty.Value, bool) {
	if value.IsNull() && !v.nullable {
		if v.fallback == nil || v.fallback.IsNull() {
			l.reports.error(rng, "Variable without value", fmt.Sprintf("var.%s is null, but nullable is false.", v.name), "")
			return value, false
		}
		value = *v.fallback
	}
	if v.sensitive {
		value = value.Mark(sensitive)
	}
	return value, true
}

// validate holds a variable of a module to its validation blocks; rng is where its value
// comes from.
func (l *loader) validate(m *module, v *variable, rng hcl.Range) {
	for _, block := range v.validations {
		content, diags := block.Body.Content(validationSchema)
		l.reports.hcl(diags)
		if diags.HasErrors() || !v.ok {
			continue
		}
		condition := content.Attributes["condition"].Expr
		result, ok := l.eval(condition, &scope{module: m})
		result, _ = result.Unmark()
		result, err := convert.Convert(result, cty.Bool)
		if !ok || err != nil || result.IsNull() || !result.IsKnown() {
			if ok {
				l.reports.error(condition.Range(), "Wrong type", "condition must be true or false.", "")
			}
			continue
		}
		if result.True() {
			continue
		}
		message, ok := l.eval(content.Attributes["error_message"].Expr, &scope{module: m})
		if !ok {
			continue
		}
		text := "The message is sensitive."
		if message.Type() == cty.String && message.IsKnown() && !message.ContainsMarked() && !message.IsNull() {
			text = message.AsString()
		}
		l.reports.error(rng, "Invalid value for variable", fmt.Sprintf("var.%s: %s", v.name, text), "")
	}
}
