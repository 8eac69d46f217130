package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"slbctl/sim"
	"slbctl/spec"
)

// simBacktestCmd holds the balancer's choices against those of an access log.
type simBacktestCmd struct {
	Log      string `arg:"" help:"An access log, or a trace."`
	Listener string `placeholder:"ADDR" help:"The listener that it is of, where there are several: http:80, or its whole address."`
	JSON     bool   `name:"json" help:"Print one JSON document."`
	variableFlags
}

func (c *simBacktestCmd) Run(s *session) error {
	config, err := s.configured(c.variableFlags)
	if err != nil {
		return err
	}
	listener, err := c.listener(config)
	if err != nil {
		return err
	}
	result, err := sim.RunBacktest(config, listener, c.Log, sim.Options{Context: s.ctx})
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(s.stdout, result)
	} else {
		err = result.WriteText(s.stdout)
	}
	if err == nil && result.Agreement == nil {
		return outcome(exitInconclusive)
	}
	return err
}

// listener is the one that was named, or the only one.
func (c *simBacktestCmd) listener(config *spec.Config) (string, error) {
	var all, found []string
	for _, lb := range config.LoadBalancers {
		for _, l := range lb.Listeners {
			all = append(all, l.Address)
			if c.Listener == "" || c.Listener == l.Address || c.Listener == l.Name {
				found = append(found, l.Address)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(all) == 0:
		return "", errors.New("the configuration has no listener")
	case len(found) == 0:
		return "", fmt.Errorf("listener %s is not in the configuration%s", c.Listener, didYouMean(c.Listener, all))
	}
	return "", fmt.Errorf("which listener is the log of? Write -listener=ADDR with one of: %s", strings.Join(found, ", "))
}

// simDiffCmd shows two results side by side.
type simDiffCmd struct {
	Before string `arg:"" name:"a" help:"What sim -json has printed."`
	After  string `arg:"" name:"b" help:"What it has printed another time."`
}

func (c *simDiffCmd) Run(s *session) error {
	before, err := readResults(c.Before)
	if err != nil {
		return err
	}
	after, err := readResults(c.After)
	if err != nil {
		return err
	}
	return sim.WriteDiff(s.stdout, before, after)
}

// readResults reads the document of sim -json.
func readResults(path string) ([]*sim.Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document struct {
		FormatVersion string        `json:"format_version"`
		Simulations   []*sim.Result `json:"simulations"`
	}
	foreign := fmt.Errorf("%s is not what `slbctl sim -json` prints", path)
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, &document); errors.As(err, &syntax) {
		return nil, fmt.Errorf("%w: byte %d: %w", foreign, syntax.Offset, err)
	} else if err != nil {
		return nil, foreign
	}
	if document.FormatVersion != "1.0" || document.Simulations == nil || slices.Contains(document.Simulations, nil) {
		return nil, foreign
	}
	return document.Simulations, nil
}
