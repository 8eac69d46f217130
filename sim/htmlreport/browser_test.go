package htmlreport

import (
	"context"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chromium is the browser that the pages are looked at with, or the test is skipped.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no browser to look at the page with: as root, apt-get install chromium")
	return ""
}

// browse opens a page in a window of a width, and returns what the browser prints.
func browse(t *testing.T, browser, file string, width int, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, browser, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--user-data-dir=" + t.TempDir(), fmt.Sprintf("--window-size=%d,1600", width),
	}, append(arguments, "file://"+file)...)...)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, problems.String())
	}
	return string(out)
}

// TestInBrowser looks at pages in a real browser, on a desk and on a telephone, by day and by
// night: servers have their colours in the picture, and nothing is wider than the window.
func TestInBrowser(t *testing.T) {
	browser := chromium(t)
	all := pages(t)
	for _, tt := range []struct {
		page  string
		width int
		dark  bool
	}{{"alone", 1280, false}, {"compared", 400, true}, {"several", 400, false}} {
		t.Run(fmt.Sprint(tt.page, " ", tt.width), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file, picture := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.png")
			if err := os.WriteFile(file, []byte(all[tt.page]), 0o600); err != nil {
				t.Fatal(err)
			}
			arguments := []string{"--screenshot=" + picture}
			if tt.dark {
				arguments = append(arguments, "--blink-settings=preferredColorScheme=0")
			}
			browse(t, browser, file, tt.width, arguments...)
			lookAt(t, picture, tt.width, tt.dark)
			checkWidths(t, browser, all[tt.page], tt.width)
		})
	}
}

// lookAt checks a picture: its size, its paper, and that there are areas of the colours that the first
// three servers have.
func lookAt(t *testing.T, picture string, width int, dark bool) {
	t.Helper()
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if seen.Bounds().Dx() != width {
		t.Fatalf("the picture is %v, want it %d wide", seen.Bounds(), width)
	}
	theme := 0
	if dark {
		theme = 1
	}
	count := map[color.RGBA]int{}
	bounds := seen.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[rgba(seen, x, y)]++
		}
	}
	total := bounds.Dx() * bounds.Dy()
	want := hexColours(theme)
	for name, part := range map[string]float64{"paper": .4, "c0": .01, "c1": .01, "c2": .01} {
		if got := float64(count[want[name]]) / float64(total); got < part {
			t.Errorf("%s covers %.2f%% of the picture, want %v%%", name, 100*got, 100*part)
		}
	}
}

func rgba(seen image.Image, x, y int) color.RGBA {
	return color.RGBAModel.Convert(seen.At(x, y)).(color.RGBA)
}

// hexColours are those of the light theme (0) or the dark one (1).
func hexColours(theme int) map[string]color.RGBA {
	out := map[string]color.RGBA{}
	for _, m := range definition.FindAllStringSubmatch(strings.SplitAfter(style, "}")[theme], -1) {
		v, _ := strconv.ParseUint(m[2], 16, 32) // six digits
		out[m[1]] = color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}
	}
	return out
}

var definition = regexp.MustCompile(`--([a-z0-9]+): #([0-9a-f]{6});`)

// checkWidths has the browser measure a page, in a frame as wide as a window is to be, for windows are
// not less than 500 pixels wide: nothing but tables, which scroll, reaches beyond it, and no text of an
// axis lies on another.
func checkWidths(t *testing.T, browser, page string, width int) {
	t.Helper()
	const script = `<script>
const said = document.documentElement.dataset, frame = document.querySelector("iframe")
frame.onload = () => {
  const inner = frame.contentWindow.innerWidth, page = frame.contentDocument, beyond = [], over = []
  for (const e of page.querySelectorAll("main *")) {
    const r = e.getBoundingClientRect()
    if (r.width > 0 && !e.closest(".scroll, .hits, .period") && (r.right > inner + 1 || r.left < -1))
      beyond.push(e.tagName + "." + e.getAttribute("class") + ":" + e.textContent.slice(0, 20))
  }
  for (const axis of page.querySelectorAll(".axis, .lane > div")) {
    const boxes = [...axis.querySelectorAll(".tick, .name")].map(e => [e.getBoundingClientRect(), e.textContent])
    boxes.forEach(([a, s], i) => boxes.slice(0, i).forEach(([b, t]) => {
      if (a.width > 0 && b.width > 0 && a.left < b.right && b.left < a.right && a.top < b.bottom - 4 && b.top < a.bottom - 4) over.push(s + "/" + t)
    }))
  }
  said.inner = inner
  said.scroll = page.documentElement.scrollWidth
  said.beyond = beyond.join(" ")
  said.over = over.join(" ")
}
</script>`
	framed := fmt.Sprintf("<!doctype html><html><body><iframe width=%d height=1600 style='border:0' srcdoc=\"%s\"></iframe>%s</body></html>", width, html.EscapeString(page), script)
	file := filepath.Join(t.TempDir(), "measured.html")
	if err := os.WriteFile(file, []byte(framed), 0o600); err != nil {
		t.Fatal(err)
	}
	dom := browse(t, browser, file, 1600, "--dump-dom")
	measured := func(name string) string {
		_, rest, found := strings.Cut(dom, " data-"+name+`="`)
		if !found {
			t.Fatalf("the browser has not measured the page:\n%.500s", dom)
		}
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	if inner, scroll := measured("inner"), measured("scroll"); inner != strconv.Itoa(width) || scroll != inner {
		t.Errorf("the page is %s wide in a window of %s, want %d", scroll, inner, width)
	}
	if beyond := measured("beyond"); beyond != "" {
		t.Errorf("beyond the window: %s", beyond)
	}
	if over := measured("over"); over != "" {
		t.Errorf("one above the other: %s", over)
	}
}
