package trial

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"slbctl/runtime/expect"
	"slbctl/runtime/explain"
	"slbctl/spec"
)

// asked is how many such requests are looked at, one after the other: where they go to
// one server all, that server is a property of the request.
const asked = 1000

// Runner runs tests.
type Runner struct {
	// Explain tells where a request goes, Answer what comes back of it.
	Explain func(explain.Question) (*explain.Explanation, error)
	Answer  func(q *explain.Question, e *explain.Explanation) Reply
}

// Run runs one test. The error is of a request that cannot be made.
func (r *Runner) Run(t *spec.Test) (*Result, error) {
	q := QuestionOf(&t.Request)
	e, err := r.Explain(q)
	if err != nil {
		return nil, fmt.Errorf("test %q: %w", t.Name, err)
	}
	out := &Result{
		Name: t.Name, URL: e.URL, From: e.From, Method: e.Method, Outcome: e.Outcome,
		Listener: e.Listener, Rule: e.Rule, Group: e.Group, Server: e.Server, Verdict: expect.Pass,
	}
	k := checker{explanation: e, result: out}
	if x := &t.Expect; x.Status != nil || len(x.Header) > 0 || x.Location != "" {
		k.reply = r.Answer(&q, e)
	}
	k.run(&t.Expect)
	for _, c := range out.Checks {
		out.Verdict = out.Verdict.Worse(c.Verdict)
	}
	return out, nil
}

// QuestionOf is what a test asks.
func QuestionOf(r *spec.TestRequest) explain.Question {
	q := explain.Question{URL: r.URL, Method: r.Method, From: r.From, Next: asked}
	for name, value := range r.Headers {
		q.Headers = append(q.Headers, name+": "+value)
	}
	slices.Sort(q.Headers)
	return q
}

// checker holds one explanation and its reply against what is expected.
type checker struct {
	explanation *explain.Explanation
	reply       Reply
	result      *Result
}

func (k *checker) add(c Check) { k.result.Checks = append(k.result.Checks, c) }

// exact is a check of something that is known.
func (k *checker) exact(name, wanted, observed, detail string) {
	c := Check{Name: name, Wanted: wanted, Observed: observed, Detail: detail, Verdict: expect.Pass}
	if wanted != observed {
		c.Verdict = expect.Fail
	}
	k.add(c)
}

func (k *checker) run(x *spec.TestExpect) {
	if x.Status != nil {
		k.answers("status", status(*x.Status), func(a *Answer) (string, string) { return status(a.Status), "" })
	}
	if x.Rule != nil {
		k.rule(*x.Rule)
	}
	if x.ServerGroup != "" {
		k.exact("server_group", x.ServerGroup, k.explanation.Group, k.reason("rule", "group"))
	}
	if x.Server != "" {
		k.server(x.Server)
	}
	for _, name := range sortedNames(x.Header) {
		k.answers("header "+name, x.Header[name], func(a *Answer) (string, string) { return a.header(name, x.Header[name]) })
	}
	if x.Location != "" {
		k.answers("location", x.Location, func(a *Answer) (string, string) { return a.header("Location", x.Location) })
	}
}

// status is how the status of an answer is written.
func status(n int) string {
	switch n {
	case 0:
		return "no answer"
	case connected:
		return "a connection"
	}
	return strconv.Itoa(n)
}

// rule takes a name or an address; none stands for the listener itself.
func (k *checker) rule(wanted string) {
	e := k.explanation
	observed, none := e.Rule, "no rule"
	if !strings.Contains(wanted, ".") { // a name
		if observed = strings.TrimPrefix(observed, e.Listener+".rule["); observed != e.Rule {
			observed, _ = strconv.Unquote(strings.TrimSuffix(observed, "]"))
		}
	}
	if wanted == "" {
		wanted = none
	}
	if observed == "" {
		observed = none
	}
	k.exact("rule", wanted, observed, k.reason("rule"))
}

// reason is why a step of the walk went as it did; that of the last one where there was
// no such step.
func (k *checker) reason(names ...string) string {
	steps := k.explanation.Steps
	for i := len(steps) - 1; i >= 0; i-- {
		if slices.Contains(names, steps[i].Name) {
			return steps[i].Reason
		}
	}
	if len(steps) == 0 {
		return ""
	}
	return steps[len(steps)-1].Reason
}

// server passes where every such request goes to the one that is wanted, and fails where
// none does. Otherwise it is a matter of turns, load or chance.
func (k *checker) server(wanted string) {
	counts, order := picked(k.explanation)
	switch {
	case len(order) == 0:
		k.exact("server", wanted, "none", k.reason())
		return
	case len(order) == 1:
		k.exact("server", wanted, plainServer(order[0], wanted), k.reason("stickiness", "scheduler"))
		return
	}
	n, parts := 0, []string{}
	for _, name := range order {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		if plainServer(name, wanted) == wanted {
			n += counts[name]
		}
	}
	c := Check{
		Name: "server", Wanted: wanted, Observed: strings.Join(order, " or "), Verdict: expect.Inconclusive,
		Detail: fmt.Sprintf("of the next %d such requests %s", len(k.explanation.Picks), strings.Join(parts, ", ")),
	}
	if n == 0 {
		c.Verdict = expect.Fail
	}
	k.add(c)
}

// plainServer is a server without the port that tells two of one instance apart, where
// the instance is meant.
func plainServer(name, wanted string) string {
	if kind, _ := spec.ParseAddress(wanted); kind == "instance" && strings.HasPrefix(name, wanted+":") { // a foreign server is no address
		return wanted
	}
	return name
}

// picked counts the servers of the next requests, in their order.
func picked(e *explain.Explanation) (counts map[string]int, order []string) {
	counts = map[string]int{}
	for _, p := range e.Picks {
		if p.Server == "" {
			continue
		}
		if counts[p.Server] == 0 {
			order = append(order, p.Server)
		}
		counts[p.Server]++
	}
	return counts, order
}

// answers checks something of an answer, which all servers that the request might go to
// have to agree on.
func (k *checker) answers(name, wanted string, of func(*Answer) (value, unknown string)) {
	c := Check{Name: name, Wanted: wanted, Verdict: expect.Inconclusive, Detail: k.reply.Unknown}
	if k.reply.Unknown != "" {
		k.add(c)
		return
	}
	agree := true
	var told, by []string
	for i := range k.reply.Answers {
		a := &k.reply.Answers[i]
		value, unknown := of(a)
		if unknown != "" {
			c.Detail = unknown
			k.add(c)
			return
		}
		agree = agree && (i == 0 || value == c.Observed)
		c.Observed = value
		told = append(told, strings.TrimSpace(a.By+" "+value))
		if a.By != "" {
			by = append(by, a.By)
		}
	}
	switch {
	case !agree:
		c.Observed, c.Detail = strings.Join(told, ", "), "it depends on the server"
	case c.Observed == wanted:
		c.Verdict = expect.Pass
	default:
		c.Verdict = expect.Fail
	}
	switch {
	case !agree:
	case len(by) > 0:
		c.Detail = "from " + strings.Join(by, " or ")
	case k.explanation.Outcome != explain.Served: // the balancer, which says why
		c.Detail = k.reason()
	}
	k.add(c)
}

// touched are headers of a server's answer that the balancer, or the server for itself,
// may add, remove or change: its pages do not tell them.
var touched = []string{
	"Connection", "Content-Encoding", "Content-Length", "Date", "Etag", "Keep-Alive", "Set-Cookie", "Trailer", "Transfer-Encoding", "Upgrade", "Vary",
}

// header is the value of a header: the wanted one where it is among several.
func (a *Answer) header(name, wanted string) (value, unknown string) {
	name = http.CanonicalHeaderKey(name)
	switch {
	case a.whole:
	case a.Status == 0:
		return "no answer", ""
	case a.By == "" && (name != "Location" || a.Header == nil):
		return "", "only the running balancer tells what headers its own answer has: ask it with -live"
	case a.By != "" && slices.Contains(touched, name):
		return "", "only the running balancer tells what becomes of " + name + ": ask it with -live"
	}
	values := a.Header.Values(name)
	switch {
	case slices.Contains(values, wanted):
		return wanted, ""
	case len(values) == 0:
		return "none", ""
	}
	return strings.Join(values, ", "), ""
}

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
