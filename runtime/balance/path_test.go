package balance

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormalPath(t *testing.T) {
	cases := []struct{ target, want string }{ // "" = refused
		{"/", "/"},
		{"/tom", "/tom"},
		{"/tom/a.html?x=%zz&y=/../", "/tom/a.html?x=%zz&y=/../"},
		{"/%74om", "/tom"},
		{"/%74%6F%6d", "/tom"},
		{"/a%20b%C3%A9", "/a b\xc3\xa9"},
		{"//tom///jerry//", "/tom/jerry/"},
		{"/tom%2Fjerry%2f/x", "/tom/jerry/x"},
		{"/100%25", "/100%25"},
		{"/%2541", "/%2541"}, // decoded once and no more
		{"/a%3fb", "/a%3Fb"},
		{"/a%3Fb?c", "/a%3Fb?c"},
		{"/a%23b", "/a#b"},
		{"/.../a..b/.c/d.", "/.../a..b/.c/d."},
		{"/?", "/?"},
		{"//?a", "/?a"},
		{"", ""},
		{"*", ""},
		{"tom", ""},
		{"http://a/tom", ""},
		{"/.", ""},
		{"/..", ""},
		{"/a/./b", ""},
		{"/a/../b", ""},
		{"/a/..?x", ""},
		{"/a/%2e%2E/b", ""},
		{"/a/.%2e", ""},
		{"/a%2F..%2Fb", ""},
		{"/a//..//b", ""},
		{`/a\b`, ""},
		{"/a%5cb", ""},
		{"/a%00", ""},
		{"/a\x00", ""},
		{"/a%0d%0aB", ""},
		{"/a\x7f", ""},
		{"/a%7F", ""},
		{"/a?b\x01", ""},
		{"/%", ""},
		{"/%4", ""},
		{"/%4g", ""},
		{"/%g4", ""},
	}
	for _, c := range cases {
		got, ok := NormalPath(nil, []byte(c.target))
		if ok != (c.want != "") || string(got) != c.want {
			t.Errorf("%q is %q (%v), want %q", c.target, got, ok, c.want)
		}
	}
}

func TestNormalPathCopiesOnlyWhatChanges(t *testing.T) {
	dst := make([]byte, 0, 64)
	plain, spelled := []byte("/tom/jerry?x=1"), []byte("/t%6Fm//jerry?x=1")
	if got, _ := NormalPath(dst, plain); &got[0] != &plain[0] || len(got) != len(plain) {
		t.Errorf("%q was copied", plain)
	}
	if got, _ := NormalPath(dst, spelled); &got[0] != &dst[:1][0] || string(got) != string(plain) {
		t.Errorf("%q became %q, not in dst", spelled, got)
	}
	if n := testing.AllocsPerRun(100, func() {
		NormalPath(dst, plain)
		NormalPath(dst, spelled)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzNormalPath(f *testing.F) {
	for _, seed := range []string{"/", "/a%2fb//c?d", "/%2e/", "/a%25%3f%41", "/\\", "//", "/%"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		before := bytes.Clone(target)
		got, ok := NormalPath(make([]byte, 0, len(target)), target)
		if !bytes.Equal(before, target) {
			t.Fatalf("%q was changed", before)
		}
		if !ok {
			return
		}
		if len(got) > len(target) {
			t.Fatalf("%q became longer: %q", target, got)
		}
		again, ok := NormalPath(nil, got)
		if !ok || !bytes.Equal(again, got) {
			t.Fatalf("%q is %q, which is %q (%v)", target, got, again, ok)
		}
		path, _, _ := strings.Cut(string(got), "?")
		for _, bad := range []string{"//", "/./", "/../", `\`, "\x00", "\r", "\n"} {
			if strings.Contains(path+"/", bad) && (bad != "//" || strings.Contains(path, bad)) {
				t.Fatalf("%q is %q, with %q in it", target, got, bad)
			}
		}
	})
}

// respell writes a normal path in another of its spellings.
func respell(random *rand.Rand, normal string) []byte {
	var out []byte
	path, query, asked := strings.Cut(normal, "?")
	for i := 0; i < len(path); i++ {
		c := path[i]
		kept := c == '%' // begins %25 or %3F
		switch {
		case kept && path[i+1] == '3' && random.IntN(2) == 0:
			out = append(out, "%3f"...)
			i += 2
		case kept:
			out = append(out, path[i:i+3]...)
			i += 2
		case c == '/' && i > 0 && random.IntN(3) == 0:
			out = append(out, [...]string{"%2f", "%2F", "//", "/%2F", "%2f///"}[random.IntN(5)]...)
		case i > 0 && random.IntN(3) == 0:
			digits := [...]string{"0123456789abcdef", "0123456789ABCDEF"}[random.IntN(2)]
			out = append(out, '%', digits[c>>4], digits[c&15])
		default:
			out = append(out, c)
		}
	}
	if asked {
		out = append(append(out, '?'), query...)
	}
	return out
}

// No spelling of a path leads to another server: 100,000 of them, with the odd dot
// segment, which is refused.
func TestSpellingsAreRoutedAlike(t *testing.T) {
	pieces := rapid.SampledFrom([]string{"/", "/a", "/ab", "a", "b", ".", "..x", " ", "%25", "%3F", "#", "é", "/tom"})
	rapid.Check(t, func(t *rapid.T) {
		urls := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string { return drawPath(t, pieces) }), 1, 8, rapid.ID).Draw(t, "urls")
		l := &Listener{}
		for _, u := range urls {
			l.Rules = append(l.Rules, &Rule{Name: u, URL: u})
		}
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		path := drawPath(t, pieces)
		if rapid.Bool().Draw(t, "query") {
			path += "?x=/a//b"
		}
		want := l.Route(nil, []byte(path))
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		dst := make([]byte, 0, 256)
		for range 1000 {
			spelled := respell(random, path)
			got, ok := NormalPath(dst, spelled)
			if !ok || l.Route(nil, got) != want {
				t.Fatalf("%q, a spelling of %q, is %q (%v), routed to %v, want %v", spelled, path, got, ok, l.Route(nil, got), want)
			}
			cut := random.IntN(len(spelled) + 1)
			if q := bytes.IndexByte(spelled, '?'); cut > 0 && (q < 0 || cut <= q) && spelled[cut-1] == '/' {
				dotted := append(append(bytes.Clone(spelled[:cut]), [...]string{"./", "../", "%2e/", ".%2E%2f"}[random.IntN(4)]...), spelled[cut:]...)
				if got, ok := NormalPath(dst, dotted); ok {
					t.Fatalf("%q has a dot segment and is %q", dotted, got)
				}
			}
		}
	})
}

// drawPath draws a normal path of these pieces.
func drawPath(t *rapid.T, pieces *rapid.Generator[string]) string {
	joined := "/" + strings.Join(rapid.SliceOfN(pieces, 0, 6).Draw(t, "pieces"), "")
	path, ok := NormalPath(nil, []byte(joined))
	if !ok || len(path) == 0 {
		return "/safe"
	}
	return string(path)
}
