// Package trial holds requests against the test blocks of a configuration.
//
//	runner, err := trial.Offline(config)
//	result, err := runner.Run(config.Tests[0])
//
// Who takes a request is told by package explain, and with that by the functions that
// decide it for real requests. What an instance answers is told by the code that its
// sockets answer with (webserver.Instance.Answer), or found out by asking (Live). What
// neither tells is inconclusive, and never a pass.
package trial

import (
	"net/http"

	"slbctl/runtime/expect"
)

// FormatVersion is that of results in JSON.
const FormatVersion = "1.0"

// Result is what became of a test. JSON keys are in alphabetical order.
type Result struct {
	Checks   []Check        `json:"checks"` // one for each thing that the test expects
	From     string         `json:"from"`
	Group    string         `json:"group"`
	Listener string         `json:"listener"` // empty where none was reached
	Method   string         `json:"method"`   // of HTTP
	Name     string         `json:"name"`
	Outcome  string         `json:"outcome"` // explain's word for it
	Rule     string         `json:"rule"`    // resource address; empty = the listener itself
	Server   string         `json:"server"`  // the first that would get it; empty where none is asked
	URL      string         `json:"url"`
	Verdict  expect.Verdict `json:"verdict"`
}

// Check is one thing that a test expects.
type Check struct {
	Detail   string         `json:"detail"` // why it is so, or why nobody can say
	Name     string         `json:"name"`   // status, rule, server_group, server, location, or header and its name
	Observed string         `json:"observed"`
	Verdict  expect.Verdict `json:"verdict"`
	Wanted   string         `json:"wanted"`
}

// Reply is what comes back of a request: one answer for each server that it might go to.
type Reply struct {
	Answers []Answer
	Unknown string // why nobody can say; then there are no Answers
}

// connected is the status of what has none: a connection that stays open.
const connected = -1

// Answer is what one server, or the balancer itself, answers.
type Answer struct {
	By     string // the server's name; empty = the balancer
	Status int    // 0 = none comes; connected
	// Header is complete but for what the balancer adds, removes or changes; of an answer that the
	// balancer makes itself, it is nil but for Location.
	Header http.Header
	whole  bool // Header is all that came
}
