package main

import (
	"encoding/xml"
	"fmt"
	"os"
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

// add is a case, with what was wrong with it.
func (j *junitSuite) add(class, name string, v expect.Verdict, problems []string) {
	j.Tests++
	c := junitCase{Name: name, Class: "slbctl." + class}
	if v != expect.Pass {
		p := &junitProblem{Text: strings.Join(problems, "\n")}
		if len(problems) > 0 {
			p.Message = problems[0]
		}
		if v == expect.Fail {
			c.Failure = p
			j.Failures++
		} else {
			c.Error = p
			j.Errors++
		}
	}
	j.Cases = append(j.Cases, c)
}

// write writes the report that -junit asks for; without a file there is none.
func (j *junitSuite) write(file string) error {
	if file == "" {
		return nil
	}
	data, err := xml.MarshalIndent(j, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append([]byte(xml.Header), append(data, '\n')...), 0o644)
	}
	if err != nil {
		return fmt.Errorf("-junit: %w", err)
	}
	return nil
}

func (r *testReport) junit() *junitSuite {
	j := &junitSuite{Name: "slbctl test", Time: fmt.Sprintf("%.3f", r.took.Seconds())}
	for _, t := range r.Tests {
		var problems []string
		for _, k := range t.Checks {
			if k.Verdict != expect.Pass {
				problems = append(problems, checked(&k))
			}
		}
		j.add(r.Source, t.Name, t.Verdict, problems)
	}
	return j
}
