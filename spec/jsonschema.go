package spec

import (
	"encoding/json"
	"maps"
)

// JSONSchema describes *.slb.json files: for editors, and for whoever generates
// configurations.
func JSONSchema() []byte {
	properties := map[string]any{
		"variable": labelled(1, map[string]any{"type": "object"}),
		"output":   labelled(1, map[string]any{"type": "object", "required": []string{"value"}}),
		"locals":   map[string]any{"type": "object"},
		moduleRoot: labelled(1, map[string]any{
			"type": "object", "required": []string{"source"},
			"properties": map[string]any{"source": map[string]any{"type": "string", "pattern": `^\.\.?(/|$)`}},
		}),
	}
	for _, k := range resourceKinds {
		if k.parent == nil {
			properties[k.name] = labelled(1, k.jsonSchema())
		}
	}
	for _, b := range settingBlocks {
		properties[b.name] = labelled(len(b.labels), b.jsonSchema())
	}
	schema := map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "slbctl configuration",
		"type":                 "object",
		"properties":           properties,
		"additionalProperties": false,
	}
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic("spec: JSON Schema: " + err.Error()) // it holds maps of texts and numbers only
	}
	return append(out, '\n')
}

// labelled wraps a block's schema in one object a label; the innermost may be an
// array of blocks.
func labelled(labels int, body map[string]any) map[string]any {
	schema := map[string]any{"anyOf": []any{body, map[string]any{"type": "array", "items": body}}}
	for range labels {
		schema = map[string]any{"type": "object", "additionalProperties": schema}
	}
	return schema
}

func (b *block) jsonSchema() map[string]any {
	properties := map[string]any{"dynamic": map[string]any{"type": "object"}}
	var needed []string
	for i := range b.attributes {
		a := &b.attributes[i]
		if a.computed {
			continue
		}
		properties[a.name] = a.jsonSchema()
		if a.required {
			needed = append(needed, a.name)
		}
	}
	for _, c := range b.blocks {
		properties[c.name] = labelled(len(c.labels), c.jsonSchema())
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(needed) > 0 {
		schema["required"] = needed
	}
	return schema
}

// expression is the form in which a JSON file writes what is not a constant.
var expression = map[string]any{"type": "string", "pattern": `\$\{`}

func (a *attribute) jsonSchema() map[string]any {
	if a.kind != "" {
		reference := map[string]any{"type": "string", "pattern": `^\$\{.*\}$`}
		if a.words != nil && len(a.words) == 0 {
			return map[string]any{"anyOf": []any{a.schema, reference}}
		}
		if a.words != nil {
			return map[string]any{"anyOf": []any{map[string]any{"enum": a.words, "default": a.fallback}, reference}}
		}
		return map[string]any{"anyOf": []any{reference, map[string]any{"type": "array", "items": reference}}}
	}
	constant := maps.Clone(a.schema)
	if a.fallback != nil {
		constant["default"] = a.fallback
	}
	return map[string]any{"anyOf": []any{constant, expression}}
}
