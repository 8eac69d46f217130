package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// patienceValue is how long a command may wait. It cannot be negative.
type patienceValue time.Duration

// UnmarshalText implements encoding.TextUnmarshaler, for kong.
func (p *patienceValue) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a time: write it like 30s, 500ms or 1m30s", text)
	}
	if d < 0 {
		return fmt.Errorf("%s is negative: a time to wait is 0s or more", text)
	}
	*p = patienceValue(d)
	return nil
}

// assignment is NAME=VALUE, as -var takes it.
type assignment string

// UnmarshalText implements encoding.TextUnmarshaler, for kong.
func (a *assignment) UnmarshalText(text []byte) error {
	name, _, ok := strings.Cut(string(text), "=")
	switch {
	case !ok:
		return fmt.Errorf("%q sets no value: write -var %s=VALUE", text, name)
	case strings.TrimSpace(name) == "":
		return errors.New("no variable is named before the =: write -var NAME=VALUE")
	}
	*a = assignment(text)
	return nil
}

// percentsValue are the steps of a canary, as in 10%,50%.
type percentsValue []int

// UnmarshalText implements encoding.TextUnmarshaler, for kong.
func (p *percentsValue) UnmarshalText(text []byte) error {
	*p = nil
	for _, word := range strings.Split(string(text), ",") {
		number, ok := strings.CutSuffix(strings.TrimSpace(word), "%")
		n, err := strconv.Atoi(number)
		switch {
		case !ok || err != nil || strings.HasPrefix(number, "+"):
			return fmt.Errorf("%q is not a step: write whole percents, like 10%%,50%%", word)
		case n < 1 || n > 99:
			return fmt.Errorf("%s is not a step: they lie between 1%% and 99%%, and all of the traffic follows the last by itself", word)
		case len(*p) > 0 && n <= (*p)[len(*p)-1]:
			return fmt.Errorf("%s follows %d%%: each step moves more traffic than the one before", word, (*p)[len(*p)-1])
		}
		*p = append(*p, n)
	}
	return nil
}
