package htmlreport

import (
	"math"
	"testing"
)

// palettes are the light theme's colours and the dark one's, in linear RGB.
func palettes() (out []map[string][3]float64) {
	for theme := range 2 {
		p := map[string][3]float64{}
		for name, c := range hexColours(theme) {
			p[name] = [3]float64{linear(c.R), linear(c.G), linear(c.B)}
		}
		out = append(out, p)
	}
	return out
}

// linear is the light of an sRGB channel (IEC 61966-2-1).
func linear(c uint8) float64 {
	v := float64(c) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// How people see colours, in linear RGB: everybody, and the two dichromacies of red and green
// and that of blue (Machado, Oliveira, Fernandes 2009, severity 1).
var eyes = map[string][3][3]float64{
	"trichromat":  {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanope":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranope": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanope":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// lab is a colour in CIE L*a*b*, white being D65.
func lab(c [3]float64, eye [3][3]float64) (out [3]float64) {
	var seen [3]float64
	for k := range seen {
		seen[k] = max(0, eye[k][0]*c[0]+eye[k][1]*c[1]+eye[k][2]*c[2])
	}
	f := func(v float64) float64 {
		if v > 216.0/24389 {
			return math.Cbrt(v)
		}
		return (24389.0/27*v + 16) / 116
	}
	x := f((0.4124564*seen[0] + 0.3575761*seen[1] + 0.1804375*seen[2]) / 0.95047)
	y := f(0.2126729*seen[0] + 0.7151522*seen[1] + 0.0721750*seen[2])
	z := f((0.0193339*seen[0] + 0.1191920*seen[1] + 0.9503041*seen[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func distance(a, b [3]float64) float64 {
	return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
}

// The colours of any two servers can be told apart by whatever eyes.
func TestColoursCanBeToldApart(t *testing.T) {
	for theme, p := range palettes() {
		names := []string{"c0", "c1", "c2", "c3", "c4", "c5", "c6", "others"}
		for eye, matrix := range eyes {
			for i, a := range names {
				for _, b := range names[:i] {
					if d := distance(lab(p[a], matrix), lab(p[b], matrix)); d < 12 {
						t.Errorf("theme %d: a %s has %s and %s %.1f apart", theme, eye, a, b, d)
					}
				}
			}
		}
	}
}

// Texts keep WCAG 2.2's 4.5 : 1 to the paper.
func TestContrast(t *testing.T) {
	light := func(c [3]float64) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }
	for theme, p := range palettes() {
		for _, name := range []string{"ink", "soft", "error", "good", "doubt"} {
			a, b := light(p[name]), light(p["paper"])
			if ratio := (max(a, b) + .05) / (min(a, b) + .05); ratio < 4.5 {
				t.Errorf("theme %d: %s has %.2f : 1", theme, name, ratio)
			}
		}
	}
}
