package htmlreport

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// number writes a count with its thousands apart.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && digits[i-1] != '-' && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// percent writes a part of a whole. What is not nothing does not look like nothing.
func percent(part float64) string {
	text := strconv.FormatFloat(100*part, 'f', 1, 64) + "%"
	switch {
	case part == 0, part == 1:
		return wholePercent(part)
	case part > 0 && text == "0.0%":
		return "<0.1%"
	case part < 1 && text == "100.0%":
		return ">99.9%"
	}
	return text
}

func wholePercent(part float64) string { return strconv.FormatFloat(100*part, 'f', 0, 64) + "%" }

// plain writes a number as short as it can be.
func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// clock writes a time of the simulation: 2m30s, but 2m for what would be 2m0s.
func clock(seconds float64) string {
	text := time.Duration(math.Round(seconds * 1e9)).String()
	if s, ok := strings.CutSuffix(text, "m0s"); ok {
		text = s + "m"
	}
	if s, ok := strings.CutSuffix(text, "h0m"); ok {
		text = s + "h"
	}
	if text == "0s" {
		return "0"
	}
	return text
}

// plural is a word for n things.
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return number(int64(n)) + " " + what
}
