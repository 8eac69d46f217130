package main

import (
	"encoding/xml"
	"fmt"
	"strings"

	"slbctl/runtime/expect"
)

// junitSuite is a report that CI systems read: the elements of JUnit's XML that they
// agree on.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"` // what nobody can say: it must not look like a pass
	Time     string      `xml:"time,attr"`   // seconds
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junit is the report as JUnit's XML.
func (r *testReport) junit() ([]byte, error) {
	s := junitSuite{
		Name: "slbctl test", Tests: len(r.Tests), Failures: r.count(expect.Fail), Errors: r.count(expect.Inconclusive),
		Time: fmt.Sprintf("%.3f", r.took.Seconds()),
	}
	for _, t := range r.Tests {
		c := junitCase{Name: t.Name, Class: "slbctl." + r.Source}
		var problems []string
		for _, k := range t.Checks {
			if k.Verdict != expect.Pass {
				problems = append(problems, checked(&k))
			}
		}
		if len(problems) > 0 {
			p := &junitProblem{Message: problems[0], Text: strings.Join(problems, "\n")}
			if t.Verdict == expect.Fail {
				c.Failure = p
			} else {
				c.Error = p
			}
		}
		s.Cases = append(s.Cases, c)
	}
	out, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("-junit: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}
