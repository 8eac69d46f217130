package htmlreport

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"slbctl/sim"
	"slbctl/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// config is that of testdata.
func config(t *testing.T) *spec.Config {
	t.Helper()
	c, found := spec.Load("testdata", spec.Options{})
	if len(found) > 0 {
		t.Fatal(found)
	}
	return c
}

func result(t *testing.T, c *spec.Config, name string) *sim.Result {
	t.Helper()
	r, err := sim.Run(c, name, sim.Options{Timeline: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func written(t *testing.T, sections ...Section) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, sections); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pages are of all kinds that there are.
func pages(t *testing.T) map[string]string {
	c := config(t)
	lossy, err := sim.Without(c, "instance.ECS01")
	if err != nil {
		t.Fatal(err)
	}
	peak, outage := result(t, c, "checkout-peak"), result(t, c, "outage")
	return map[string]string{
		"alone":    written(t, Section{{Result: peak}}),
		"compared": written(t, Section{{"as configured", peak}, {"without instance.ECS01", result(t, lossy, "checkout-peak")}}),
		"several":  written(t, Section{{Result: peak}}, Section{{Result: outage}}, Section{{"one", outage}, {"two", outage}, {"three", outage}}),
		"none":     written(t),
	}
}

// TestGolden holds a small page to what it was, byte for byte.
func TestGolden(t *testing.T) {
	const golden = "testdata/outage.html"
	got := written(t, Section{{Result: result(t, config(t), "outage")}})
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the page is not %s: go test ./sim/htmlreport -update, and look at the difference", golden)
	}
}

// element is one of a page's.
type element struct {
	name       string
	attributes map[string]string
	children   []string // names
}

// elements reads a page strictly enough to notice what is not closed, and returns its elements
// and its texts.
func elements(t *testing.T, page string) (all []element, texts []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(page, "<!doctype html>")))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
	var open []int
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := element{x.Name.Local, map[string]string{}, nil}
			for _, a := range x.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			if len(open) > 0 {
				parent := &all[open[len(open)-1]]
				parent.children = append(parent.children, e.name)
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.EndElement:
			if last := all[open[len(open)-1]].name; last != x.Name.Local {
				t.Fatalf("</%s> closes <%s>", x.Name.Local, last)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			texts = append(texts, string(x))
		}
	}
	if len(open) > 0 {
		t.Errorf("<%s> is not closed", all[open[0]].name)
	}
	return all, texts
}

// A page asks nothing of anybody, runs nothing, and can be understood without being seen.
func TestPages(t *testing.T) {
	for name, page := range pages(t) {
		for _, no := range []string{"<script", "<link", "<img", "src=", "href=", "url(", "@import", "http://", "https://", "javascript:", "ZgotmplZ", "NaN", "Inf", "%!"} {
			if strings.Contains(page, no) {
				t.Errorf("%s: the page has %q", name, no)
			}
		}
		all, _ := elements(t, page)
		ids := map[string]bool{}
		for _, e := range all {
			if id := e.attributes["id"]; id != "" {
				if ids[id] {
					t.Errorf("%s: the id %s is there twice", name, id)
				}
				ids[id] = true
			}
		}
		headings := 0
		for _, e := range all {
			for _, id := range strings.Fields(e.attributes["aria-labelledby"]) {
				if !ids[id] {
					t.Errorf("%s: <%s> is labelled by %s, which is not there", name, e.name, id)
				}
			}
			switch e.name {
			case "h1":
				headings++
			case "svg":
				seen := e.attributes["aria-hidden"] == "true"
				if !seen && (e.attributes["role"] != "img" || !slices.Contains(e.children, "title") || !slices.Contains(e.children, "desc")) {
					t.Errorf("%s: a drawing without words: %+v", name, e)
				}
			case "table":
				if e.children[0] != "caption" {
					t.Errorf("%s: a table begins with %s", name, e.children[0])
				}
			case "th":
				if e.attributes["scope"] == "" {
					t.Errorf("%s: a heading of a table without scope", name)
				}
			}
		}
		if want := strings.Count(page, "<section"); headings != want {
			t.Errorf("%s: %d headings of %d simulations", name, headings, want)
		}
	}
}

// Whatever names a page is given, they stay names: no element and no attribute more than with
// tame ones, and each can be read as it is.
func TestHostileNames(t *testing.T) {
	shape := func(hostile func(string) string) (names []string, texts string) {
		c := config(t)
		s := c.Simulations[slices.IndexFunc(c.Simulations, func(s *spec.Simulation) bool { return s.Name == "checkout-peak" })]
		for k := range s.Faults {
			s.Faults[k].Name = hostile(s.Faults[k].Name)
		}
		for k := range s.Expects {
			s.Expects[k].Name = hostile(s.Expects[k].Name)
			if s.Expects[k].During != "steady" && s.Expects[k].During != "all" {
				s.Expects[k].During = hostile(s.Expects[k].During)
			}
		}
		s.Name = hostile("checkout-peak")
		r := result(t, c, s.Name)
		s.Traffic[0].Name = hostile("browse") // only now: what is drawn depends on it
		for w := range r.Windows {
			for k := range r.Windows[w].Backends {
				b := &r.Windows[w].Backends[k]
				b.Address = hostile(b.Address)
			}
		}
		for w := range r.Timeline.Steps {
			for k := range r.Timeline.Steps[w].Backends {
				b := &r.Timeline.Steps[w].Backends[k]
				b.Address = hostile(b.Address)
			}
		}
		all, text := elements(t, written(t, Section{{Result: r}}, Section{{hostile("one"), r}, {hostile("two"), r}}))
		for _, e := range all {
			keys := []string{}
			for a := range e.attributes {
				keys = append(keys, a)
			}
			slices.Sort(keys)
			names = append(names, e.name+" "+strings.Join(keys, " "))
		}
		return names, strings.Join(text, "\n")
	}
	for _, evil := range []string{
		`</style></script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onload='alert(1)`, `--></title><b>`,
		`&lt;b&gt;&amp;`, `{{.Style}}`, `}body{display:none}/*`, "\u202ename", `<![CDATA[`,
	} {
		tame, _ := shape(func(name string) string { return name + strings.Repeat("x", utf8.RuneCountInString(evil)) })
		got, texts := shape(func(name string) string { return name + evil })
		if !slices.Equal(got, tame) {
			t.Errorf("%q makes %d elements of %d, or other attributes", evil, len(got), len(tame))
		}
		for _, name := range []string{"checkout-peak", "ecs02-dies", "nobody-notices", "browse", "instance.ECS01", "two"} {
			if !strings.Contains(texts, name+evil) {
				t.Errorf("%s%s cannot be read", name, evil)
			}
		}
	}
}

// A result without a timeline is an error, not an empty page.
func TestNoTimeline(t *testing.T) {
	r, err := sim.Run(config(t), "outage", sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(io.Discard, []Section{{{Result: r}}}); err == nil || !strings.Contains(err.Error(), `simulation "outage": its result has no timeline`) {
		t.Errorf("%v", err)
	}
}
