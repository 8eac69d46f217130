package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// groups are the headings of the list of commands, in order.
var groups = []struct{ key, title string }{
	{"main", "Main commands"},
	{"look", "Look at what runs"},
	{"try", "Try before you apply"},
	{"manage", "Manage"},
}

// page is what a command's help says beyond its grammar.
type page struct {
	text     string
	examples []string // a command line, two spaces, what it is for
}

// pages are by the command's path.
var pages = map[string]page{
	"": {examples: []string{
		"slbctl init && slbctl apply   two servers behind a balancer",
	}},
	"init": {
		text: "Writes a commented configuration into a folder that has none yet.",
		examples: []string{
			"slbctl init              the tutorial's two servers, balancer and name",
			"slbctl init rules        one domain whose URLs go to different servers",
			"slbctl init https        HTTPS with certificates of a local CA",
			"slbctl -chdir=lab init   into another folder",
		}},
	"ca": {
		text: "Certificates with domains are issued by a local CA, which the first apply that needs one makes in .slbctl/ca. Clients trust what it issues when they trust its root.",
		examples: []string{
			"curl --cacert .slbctl/ca/root.crt https://...   trust it for one request",
			"slbctl ca install                               trust it on this machine",
		}},
	"ca print": {
		text: "Prints the root's certificate as PEM. Its name and fingerprint go to stderr.",
		examples: []string{
			"slbctl ca print > root.crt   for a browser's import",
		}},
	"ca install": {
		text: "Puts the root into this machine's store of trust, and into Firefox's where certutil is there. Shows it and asks first; root's permission is needed, by sudo where that is there.",
		examples: []string{
			"slbctl ca install",
		}},
	"ca uninstall": {
		text: "Takes the root out of the stores that install has put it into.",
		examples: []string{
			"slbctl ca uninstall",
		}},
	"validate": {
		text: "Checks every *.slb.hcl and *.slb.json file of the folder. All mistakes are told at once, each with its place and what to write instead. Nothing is started and nothing is written.",
		examples: []string{
			"slbctl validate         exit code 1 when there are mistakes",
			"slbctl validate -json   for editors and CI",
		}},
	"plan": {
		text: "Compares the configuration, the recorded state and what runs, and changes nothing. Exit code 3 when the configuration does not keep an `expect` block of a load balancer.",
		examples: []string{
			"slbctl plan -out=next.plan      save it for `slbctl apply next.plan`",
			"slbctl plan -detailed-exitcode  0 nothing to do, 1 error, 2 changes",
			"slbctl plan -destroy            what a destroy would release",
			"slbctl plan -refresh-only       what was changed by hand",
		}},
	"apply": {
		text: "Plans, shows the plan, asks, and carries it out: whole or not at all, without losing a request. Starts the runtime when it does not run. When servers do not get well in time, or real requests do not meet an expectation that is live, everything is rolled back and the exit code is 3. A saved plan is applied without a question, if everything is as it was when it was made.",
		examples: []string{
			"slbctl apply                 ask first",
			"slbctl apply -auto-approve   do not ask (CI)",
			"slbctl apply next.plan       what `slbctl plan -out=next.plan` showed",
			"slbctl apply -canary=10%,50%   a tenth first, and back if that fails",
		}},
	"destroy": {
		text: "Releases everything, or just what is named and what uses its values: a balancer's DNS records go with it, its servers stay. Asks first, and returns when it is drained and gone.",
		examples: []string{
			"slbctl destroy                      everything",
			"slbctl destroy load_balancer.SLB1   the balancer; its instances go on serving",
		}},
	"rollback": {
		text: "Plans what state history lists under a serial, shows the plan, asks, and applies it as one transaction, as apply does. Without a serial it is the one before, so a second rollback takes the first one back. The configuration's files stay as they are: the next plan shows how they differ.",
		examples: []string{
			"slbctl rollback                 undo the last apply",
			"slbctl rollback 3               what serial 3 recorded",
			"slbctl rollback -auto-approve   do not ask",
		}},
	"status": {
		text: "Every balancer, listener and server: health with its cause and since when, weight, share of the traffic, connections, requests and errors; the instances, and the name server.",
		examples: []string{
			"slbctl status         one screen",
			"slbctl status -json   the same, for programs",
		}},
	"explain": {
		text: "Walks the way of a request that nobody makes: DNS answer, listener, access list, rule, group, stickiness and the scheduler's choice, each with its reason and with what would have won otherwise. Asks the running daemon, its tables and its health, or the configuration where none runs. Takes no turn from a client. Exit code 1 when the request gets no answer at all.",
		examples: []string{
			"slbctl explain http://www.abc.com/tom -from 203.0.113.9",
			"slbctl explain tcp://127.10.0.4:80 -n 10   who gets the next ten",
			"slbctl explain http://127.10.0.4/ -header 'Host: www.abc.com'",
		}},
	"show": {examples: []string{
		"slbctl show             every recorded resource",
		"slbctl show next.plan   a saved plan, as plan showed it",
	}},
	"output": {
		text: "Sensitive outputs are listed without their values; -raw NAME prints one.",
		examples: []string{
			"slbctl output                         all of them",
			"curl $(slbctl output -raw url)        one, for a shell",
		}},
	"sim": {
		text: "Replays the traffic and accidents of `simulation` blocks, minutes in moments, on the code that the live balancer decides with; -live does all of it to what runs, and takes it back. The same seed gives the same result. Exit code 3 when an expectation fails, or when what is observed is not what was predicted; 4 when there is too little to say.",
		examples: []string{
			"slbctl sim                     all simulations",
			"slbctl sim -compare=wrr,p2c    the same traffic under other schedulers",
			"slbctl sim -without=zone=b     as if a zone, or an instance, were lost",
			"slbctl sim peak -replicas=20   how much of the result is chance",
			"slbctl sim -html=sim.html      draw a page; -compare and -without side by side",
			"slbctl sim peak -live          send it to what runs, and compare",
		}},
	"sim import": {
		text: "Reads slbctl's own log and those of SLB, ALB, nginx, HAProxy, browsers (HAR) and goreplay, sorts what is out of order, and writes one compact file for `traffic { log = ... }`. Lines that cannot be read are counted and named. Paths and queries stay as they are.",
		examples: []string{
			"slbctl sim import access.log -o monday.trace",
			"slbctl sim import access.log.gz -o monday.trace -anonymize=trace.key",
		}},
	"test": {
		text: "Asks the request of each `test` block on the configuration, without starting anything, by the walk of `slbctl explain`, and holds rule, servers and answer to what the block expects. Exit code 3 when one fails, 4 when nobody can say: what a foreign server answers, whose turn it is.",
		examples: []string{
			"slbctl test                      all tests, offline",
			"slbctl test tom -live            one, sent to what runs",
			"slbctl test -cover -junit=t.xml  for CI, with the rules that no test reaches",
		}},
	"sim backtest": {
		text: "Sends the requests of a log through the configuration and compares the server that the core picks for each with the one that the log names: shares, and the part that agrees. Servers are found by IP:PORT or by name. Exit code 4 when the log names none of the listener's.",
		examples: []string{
			"slbctl sim backtest .slbctl/access/SLB1-http-80.log",
			"slbctl sim backtest haproxy.log -listener=http:80 -json",
		}},
	"sim diff": {examples: []string{"slbctl sim -json > a; slbctl sim -json -seed=7 > b; slbctl sim diff a b"}},
	"fmt": {
		text: "Rewrites configuration files in the one style that there is. Comments stay.",
		examples: []string{
			"slbctl fmt                list and rewrite what differs",
			"slbctl fmt -check -diff   write nothing, show it, exit code 2 (CI)",
			"slbctl fmt -recursive     the folders of modules, too",
			"slbctl fmt -              standard input to standard output",
		}},
	"state":      {examples: []string{"slbctl state list", "slbctl state show instance.ECS01", "slbctl state pull > backup.json"}},
	"state list": {examples: []string{"slbctl state list", "slbctl state list load_balancer.SLB1"}},
	"state show": {examples: []string{"slbctl state show instance.ECS01"}},
	"state history": {
		text:     "Each recorded state with its time, its generation of the runtime and what it has added, changed and destroyed; `live` is what is recorded and runs. The last 50 are kept.",
		examples: []string{"slbctl state history", "slbctl state history -json"},
	},
	"state mv": {
		text:     "For a block that got another name: the resource keeps its id, its address and its connections. A moved block in the configuration does the same with the next apply.",
		examples: []string{"slbctl state mv instance.ECS01 instance.web", "slbctl state mv 'instance.web[0]' 'instance.web[\"blue\"]'"},
	},
	"state rm": {
		text:     "What is forgotten runs on as it is, and no plan changes it or ends it. If the configuration has it, the next plan adds it, and apply takes it over as it runs. `slbctl destroy ADDR` ends it.",
		examples: []string{"slbctl state rm instance.ECS01"},
	},
	"state push": {
		text:     "Refuses a document of another lineage, or one that is older than what is recorded, unless -force is given. Nothing that runs changes: the next plan compares.",
		examples: []string{"slbctl state push backup.json", "slbctl state push - < backup.json"},
	},
	"state recover": {
		text:     "For a folder whose state is lost or does not read: takes it from the history, if that has what the daemon runs, or else makes it from the daemon's own configuration. A file that does not read is kept under another name. Where the file is gone, plans and applies go by the same without being asked.",
		examples: []string{"slbctl state recover"},
	},
	"state pull": {text: "Prints the recorded state as it is in its file. Without a state: exit code 1.", examples: []string{"slbctl state pull > backup.json"}},
	"drain": {
		text: "The server gets nothing new, but for clients that a cookie or persistence keeps there, and what is open has the time of its listener's drain. The configuration is not touched: the server stays drained through applies, rollbacks and restarts, each plan tells of it, and undrain ends it.",
		examples: []string{
			"slbctl drain instance.ECS02 -wait",
			"slbctl drain 'load_balancer.SLB1.backend[\"instance.ECS02:80\"]'",
		}},
	"undrain": {examples: []string{"slbctl undrain instance.ECS02"}},
	"fault": {
		text:     "The fault stands in for that of the configuration. No plan shows it: it is an experiment, and ends with its time, with none, or with the daemon.",
		examples: []string{"slbctl fault instance.ECS02 hang -for=30s", "slbctl fault instance.ECS02 delay=200ms,error_rate=0.1"},
	},
	"instance": {examples: []string{"slbctl instance stop instance.ECS02", "slbctl instance start instance.ECS02"}},
	"instance stop": {
		text:     "The instance refuses connections from now on, and its balancers find out by their health checks. The next plan shows the difference.",
		examples: []string{"slbctl instance stop instance.ECS02"},
	},
	"instance start": {examples: []string{"slbctl instance start instance.ECS02"}},
	"runtime":        {examples: []string{"slbctl runtime status", "slbctl runtime stop"}},
	"runtime start":  {text: "Starts the daemon if it does not run: it brings back what was applied last. apply does this by itself.", examples: []string{"slbctl runtime start"}},
	"runtime stop":   {text: "Nothing serves any more until the daemon is started. What was applied stays recorded.", examples: []string{"slbctl runtime stop"}},
	"runtime run":    {text: "Writes its log to standard error. SLBCTL_LOG is its level: debug, info, warn or error.", examples: []string{"slbctl -chdir=/srv/lb runtime run"}},
	"runtime upgrade": {
		text: "A new process of this program gets every socket of the daemon and serves; none is closed in between, so nobody is refused. The old process carries the connections and WebSockets that are open until they end; clients of HTTP come over with their next request. Health, counters, remembered clients, TLS sessions, faults and drains are handed over, and the instances run on. When the new process cannot take over, the old one goes on as if nothing had been, and the error says why.",
		examples: []string{
			"./slbctl-next runtime upgrade   from the program that runs to this one",
		}},
	"runtime status": {text: "Exit code 1 when the daemon does not run.", examples: []string{"slbctl runtime status"}},
	"schema":         {text: "For editors that complete and check *.slb.json files.", examples: []string{"slbctl schema > slb.schema.json"}},
	"version":        {examples: []string{"slbctl version -json"}},
}

// helpWidth keeps help readable on a wide terminal.
const helpWidth = 80

// writeHelp prints the help of a command, or of all for the root.
func writeHelp(w io.Writer, node *kong.Node) error {
	var b strings.Builder
	path := pathOf(node)
	p := pages[path]
	fmt.Fprintf(&b, "Usage: slbctl %s\n\n", usageLine(node, path))
	b.WriteString(strings.TrimSpace(wrap(node.Help+" "+p.text, helpWidth)) + "\n")
	writeCommands(&b, node)
	writeArguments(&b, unnamed(node))
	writeFlags(&b, unnamed(node))
	if node.Parent == nil {
		b.WriteString("\n`slbctl COMMAND -help` tells more about a command.\n")
	}
	if len(p.examples) > 0 {
		b.WriteString("\nExamples\n")
		for _, e := range p.examples {
			b.WriteString("  " + e + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// unnamed is the command that a group of commands stands for where none is named.
func unnamed(node *kong.Node) *kong.Node {
	if node.DefaultCmd != nil {
		return node.DefaultCmd
	}
	return node
}

func pathOf(node *kong.Node) string {
	if node.Parent == nil {
		return ""
	}
	return strings.TrimPrefix(pathOf(node.Parent)+" "+node.Name, " ")
}

func usageLine(node *kong.Node, path string) string {
	if path == "" {
		return "[-chdir=DIR] COMMAND [flags]"
	}
	line := path
	if len(node.Children) > 0 && node.DefaultCmd == nil {
		return line + " COMMAND"
	}
	node = unnamed(node)
	if len(node.Flags) > 0 {
		line += " [flags]"
	}
	for _, a := range node.Positional {
		name := strings.ToUpper(a.Name)
		if a.IsSlice() {
			name += "..."
		}
		if !a.Required {
			name = "[" + name + "]"
		}
		line += " " + name
	}
	return line
}

func writeCommands(b *strings.Builder, node *kong.Node) {
	list := func(title string, belongs func(*kong.Node) bool) {
		var rows [][2]string
		for _, c := range node.Children {
			if !c.Hidden && belongs(c) {
				rows = append(rows, [2]string{c.Name, c.Help})
			}
		}
		writeRows(b, title, rows)
	}
	if node.Parent != nil {
		list("Commands", func(*kong.Node) bool { return true })
		return
	}
	for _, g := range groups {
		list(g.title, func(c *kong.Node) bool { return c.Group != nil && c.Group.Key == g.key })
	}
}

func writeArguments(b *strings.Builder, node *kong.Node) {
	var rows [][2]string
	for _, a := range node.Positional {
		rows = append(rows, [2]string{strings.ToUpper(a.Name), a.Help})
	}
	writeRows(b, "Arguments", rows)
}

func writeFlags(b *strings.Builder, node *kong.Node) {
	var rows [][2]string
	for _, f := range node.Flags {
		if f.Hidden || f.Name == "help" && node.Parent != nil {
			continue
		}
		rows = append(rows, [2]string{flagUsage(f), f.Help})
	}
	writeRows(b, "Flags", rows)
}

// flagUsage is a flag as it is typed: those that are on say how to put them off.
func flagUsage(f *kong.Flag) string {
	name := "-" + f.Name
	switch {
	case f.IsBool() && f.Default == "true":
		return name + "=false"
	case f.IsBool():
		return name
	case f.Enum != "":
		return name + "=" + strings.ReplaceAll(f.Enum, ",", "|")
	case f.PlaceHolder != "":
		return name + "=" + f.PlaceHolder
	}
	return name + "=" + strings.ToUpper(f.Name)
}

// writeRows prints two columns, the second wrapped.
func writeRows(b *strings.Builder, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n" + title + "\n")
	left := 0
	for _, r := range rows {
		left = max(left, len(r[0]))
	}
	left = min(left, 22)
	for _, r := range rows {
		lines := strings.Split(wrap(r[1], helpWidth-left-4), "\n")
		if len(r[0]) > left {
			fmt.Fprintf(b, "  %s\n", r[0])
			r[0] = ""
		}
		for i, line := range lines {
			if i > 0 {
				r[0] = ""
			}
			fmt.Fprintf(b, "  %-*s  %s\n", left, r[0], line)
		}
	}
}

// wrap breaks text at blanks so that no line is wider, if words allow.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
