package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// didYouMean ends a message about a name that is not there: with a near one, or
// with what there is.
func didYouMean(name string, known []string) string {
	if len(known) == 0 {
		return ": there are none"
	}
	best, distance := "", len(name)/3+2
	for _, k := range known {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(k), nil); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %s?", best)
	}
	shown := slices.Sorted(slices.Values(known))
	if len(shown) > 10 {
		shown = append(shown[:10], "…")
	}
	return ": there is " + strings.Join(shown, ", ")
}
