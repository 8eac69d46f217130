package spec

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// longestArgument bounds an argument of a command and a variable of its environment in
// bytes, as the kernel does.
const longestArgument = 128 << 10

// commandArgument is one argument of a program.
var commandArgument = func() codec[string] {
	c := bounded(longestArgument)
	within := c.parse
	c.parse = func(v cty.Value) (string, error) {
		s, err := within(v)
		if strings.Contains(s, "\x00") {
			err = errors.New("must not contain a NUL byte")
		}
		return s, err
	}
	return c
}()

// programEnv is variables of a program. Where it listens is not theirs to say.
var programEnv = func() codec[map[string]string] {
	c := texts
	c.parse = func(v cty.Value) (map[string]string, error) {
		m, err := texts.parse(v)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			switch value := m[name]; {
			case name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00"):
				return nil, fmt.Errorf("has %q, which cannot be a variable of a program", name)
			case name == "ADDRESS" || name == "PORT" || name == "PORTS":
				return nil, hintError{fmt.Errorf("must not have %s", name), "It is set to where the instance has to listen."}
			case len(name)+len(value) > longestArgument:
				return nil, fmt.Errorf("has %s with %d bytes, at most %d are allowed", name, len(value), longestArgument)
			}
		}
		return m, err
	}
	return c
}()

const longestFault = 10 * time.Minute

var instanceFaultBlock = &block{
	name: "fault",
	attributes: []attribute{
		bind("delay", duration(0, longestFault), func(f *InstanceFault) *time.Duration { return &f.Delay }, fallback("0s")),
		bind("error_rate", number(0, 1), func(f *InstanceFault) *float64 { return &f.ErrorRate }, fallback(0.0)),
		bind("status", integer[int](400, 599), func(f *InstanceFault) *int { return &f.Status }, fallback(float64(FaultStatus))),
		bind("hang", boolean, func(f *InstanceFault) *bool { return &f.Hang }, fallback(false)),
		bind("refuse", boolean, func(f *InstanceFault) *bool { return &f.Refuse }, fallback(false)),
		bind("slow_body", duration(0, longestFault), func(f *InstanceFault) *time.Duration { return &f.SlowBody }, fallback("0s")),
	},
	hints: map[string]string{
		"latency":    "Write delay.",
		"errors":     "Write error_rate, a share from 0 to 1.",
		"error":      "Write error_rate, a share from 0 to 1.",
		"percentage": "Write error_rate, a share from 0 to 1.",
		"code":       "Write status.",
		"mode":       "Write hang = true or refuse = true.",
	},
}

// FaultStatus is what a request gets that fails on purpose, where nothing else is said.
const FaultStatus = 503

// CheckFault says what keeps an instance from having a fault.
func (i *Instance) CheckFault(f *InstanceFault) error {
	switch {
	case len(i.Command) > 0:
		return fmt.Errorf("%s runs a program of yours, which has only the faults that it brings along", i.Address)
	case i.Protocol == ProtocolTCPEcho && (f.ErrorRate > 0 || f.SlowBody > 0):
		return fmt.Errorf("error_rate and slow_body are for instances that speak http, and %s speaks %s", i.Address, i.Protocol)
	case i.Protocol == ProtocolUDPEcho && (f.ErrorRate > 0 || f.SlowBody > 0 || f.Delay > 0):
		return fmt.Errorf("%s speaks %s: its faults are hang and refuse", i.Address, i.Protocol)
	}
	return nil
}

// checkProgram looks at what says how a program of the user runs.
func checkProgram(d *decoder, s *site, i *Instance) {
	if len(i.Command) == 0 {
		for _, name := range []string{"env", "working_dir"} {
			if s.has(name) {
				d.errorf(s.attribute(name).NameRange, "Unused argument", "Write command = [...], or remove it.", "%s is for an instance with a command.", name)
			}
		}
		return
	}
	if i.Command[0] == "" {
		d.errorf(s.at("command"), "Missing program", "", "The first element of command is the program to run.")
	}
	for _, name := range []string{"site", "protocol"} {
		if s.has(name) {
			d.errorf(s.attribute(name).NameRange, "Unused argument", "Remove it, or command.", "An instance with a command is what its program makes of it.")
		}
	}
	if len(i.Pages) > 0 {
		d.errorf(s.child("page", 0).rng, "Pages beside a command", "Keep one of them.", "An instance with a command serves what its program serves.")
	}
	if i.WorkingDir == "" {
		return
	}
	path := i.WorkingDir
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.l.files.dir, path)
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		d.errorf(s.at("working_dir"), "Unusable folder", "", "There is no folder %q.", i.WorkingDir)
	}
}

// ParseFault reads a fault as a command line has it: hang, or delay=200ms,error_rate=0.1.
func ParseFault(s string) (*InstanceFault, error) {
	f := &InstanceFault{}
	instanceFaultBlock.reset(f)
	for part := range strings.SplitSeq(s, ",") {
		name, value, given := strings.Cut(strings.TrimSpace(part), "=")
		a := instanceFaultBlock.attribute(name)
		switch {
		case a == nil:
			return nil, fmt.Errorf("there is no fault %q: write delay=TIME, error_rate=SHARE, status=CODE, hang, refuse or slow_body=TIME", name)
		case !given && a.typ != cty.Bool:
			return nil, fmt.Errorf("fault %s needs a value behind an equals sign", name)
		case !given:
			value = "true"
		}
		v, err := convertTo(cty.StringVal(value), a.typ)
		if err == nil {
			err = a.parse(f, v)
		}
		if err != nil {
			return nil, fmt.Errorf("fault %s %w", name, err)
		}
	}
	if f.String() == "none" {
		return nil, fmt.Errorf("fault %q does nothing: write error_rate=1 beside status=CODE", s)
	}
	return f, nil
}

// String writes a fault as ParseFault reads it. Nil is none.
func (f *InstanceFault) String() string {
	if f == nil {
		return "none"
	}
	var parts []string
	add := func(wrong bool, part string) {
		if wrong {
			parts = append(parts, part)
		}
	}
	add(f.Refuse, "refuse")
	add(f.Hang, "hang")
	add(f.Delay > 0, "delay="+formatDuration(f.Delay))
	add(f.ErrorRate > 0, fmt.Sprintf("error_rate=%g,status=%d", f.ErrorRate, f.Status))
	add(f.SlowBody > 0, "slow_body="+formatDuration(f.SlowBody))
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ",")
}
