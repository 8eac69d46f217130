package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"slbctl/runtime/control"
)

// statusCmd shows what runs, on one screen.
type statusCmd struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c *statusCmd) Run(s *session) error {
	client, err := control.Dial(workingFolder)
	if err != nil {
		return err
	}
	status, err := client.Status(s.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.stdout, status)
	}
	v := view{now: time.Now(), color: s.colorOut}
	_, err = io.WriteString(s.stdout, v.render(status))
	return err
}

// view renders a status document.
type view struct {
	now   time.Time
	color bool
	strings.Builder
}

func (v *view) render(s *control.Status) string {
	for _, lb := range s.LoadBalancers {
		v.balancer(lb)
	}
	v.certificates(s.Certificates)
	v.instances(s.Instances)
	v.names(s.DNS)
	v.draining(s.Draining)
	if v.Len() == 0 {
		v.WriteString("Nothing runs here: the last apply left no resources.\n\n")
	}
	up := time.Duration(s.Runtime.UptimeSeconds * float64(time.Second))
	fmt.Fprintf(v, "runtime  pid %d, generation %d, %s, up %s\n",
		s.Runtime.PID, s.Runtime.Generation, count(int64(s.Runtime.Loops), "loop"), age(up))
	for _, pid := range s.Runtime.Predecessors {
		fmt.Fprintf(v, "  pid %d, from which it has taken over, still carries connections\n", pid)
	}
	for _, p := range s.Runtime.Problems {
		fmt.Fprintf(v, "  could not be brought back: %s\n", p)
	}
	if len(s.Runtime.Problems) > 0 {
		v.WriteString("  `slbctl apply` tries again\n")
	}
	return v.String()
}

func (v *view) balancer(lb control.LoadBalancer) {
	fmt.Fprintf(v, "%s  %s  %s\n", lb.Address, lb.IP, v.painted(lb.Status))
	for _, l := range lb.Listeners {
		name := strings.TrimPrefix(l.Address, lb.Address+".")
		fmt.Fprintf(v, "  %s  %s  %s  %s\n  %s, %s, %s", name, endpoint(lb.IP, l.Bound), l.Scheduler, v.painted(l.Status),
			count(l.Connections, "open connection"), count(l.Requests, "request"), count(l.Errors, "error"))
		if l.Denied > 0 {
			fmt.Fprintf(v, ", %d kept out by the access list", l.Denied)
		}
		if l.Dropped > 0 {
			fmt.Fprintf(v, ", %d dropped beyond the limits", l.Dropped)
		}
		if l.Shed > 0 {
			fmt.Fprintf(v, ", %d let go for want of descriptors", l.Shed)
		}
		if l.Secure != nil && l.Secure.FloodsCut > 0 {
			fmt.Fprintf(v, ", %s cut off", count(l.Secure.FloodsCut, "flood"))
		}
		v.WriteByte('\n')
		if l.LogLost > 0 {
			fmt.Fprintf(v, "  the access log lost %s: %s\n", count(l.LogLost, "line"), cmp.Or(l.LogError, "the disk is too slow"))
		}
		v.backends(l.Backends)
		for _, r := range l.Rules {
			fmt.Fprintf(v, "    %s  %s  %s\n", strings.TrimPrefix(r.Address, l.Address+"."), r.Domain+r.URL, r.Scheduler)
			v.backends(r.Backends)
		}
	}
	v.WriteByte('\n')
}

func (v *view) backends(backends []control.Backend) {
	if len(backends) == 0 {
		return
	}
	rows := [][]cell{plain("server", "endpoint", "health", "since", "weight", "share", "open", "requests", "errors", "reason")}
	for _, b := range backends {
		row := plain(b.Address, endpoint(b.IP, b.Bound), b.Health, age(v.now.Sub(b.Since)), strconv.Itoa(b.Weight),
			strconv.FormatFloat(100*b.Share, 'f', 1, 64)+"%", number(b.Connections), number(b.Requests), number(b.Errors), b.Reason)
		row[2] = v.state(b.Health)
		if b.Drained {
			row[4] = cell{"drained", "33"}
			if !v.color {
				row[4].color = ""
			}
		}
		rows = append(rows, row)
	}
	writeTable(&v.Builder, "    ", rows)
}

func (v *view) instances(instances []control.Instance) {
	if len(instances) == 0 {
		return
	}
	rows := [][]cell{plain("instance", "status", "listens on")}
	for _, i := range instances {
		endpoints := make([]string, len(i.Bound))
		for k, p := range i.Bound {
			endpoints[k] = endpoint(i.IP, p)
		}
		listens := strings.Join(endpoints, " ")
		if i.Fault != "" {
			listens += "  (fault: " + i.Fault + ")"
		}
		rows = append(rows, []cell{{text: i.Address}, v.state(i.Status), {text: listens}})
	}
	writeTable(&v.Builder, "", rows)
	v.WriteByte('\n')
}

func (v *view) certificates(list []control.Certificate) {
	if len(list) == 0 {
		return
	}
	rows := [][]cell{plain("certificate", "names", "issuer", "expires", "fingerprint (SHA-256)")}
	for _, c := range list {
		expires, fingerprint := "-", "not there"
		if c.Expires != nil {
			expires, fingerprint = c.Expires.Format(time.DateOnly), c.Fingerprint
			if c.Expires.Before(v.now) {
				expires += " expired"
			}
		}
		rows = append(rows, plain(c.Address, strings.Join(c.Names, " "), cmp.Or(c.Issuer, "-"), expires, fingerprint))
	}
	writeTable(&v.Builder, "", rows)
	v.WriteByte('\n')
}

func (v *view) names(d control.DNS) {
	if d.Address == "" {
		return
	}
	domains := make([]string, len(d.Zones))
	for i, z := range d.Zones {
		domains[i] = fmt.Sprintf("%s (%s)", z.Domain, count(int64(z.Records), "record"))
	}
	fmt.Fprintf(v, "dns  %s  %s\n\n", d.Address, strings.Join(domains, ", "))
}

func (v *view) draining(list []control.Draining) {
	if len(list) == 0 {
		return
	}
	rows := [][]cell{plain("draining", "from", "open", "at most")}
	for _, d := range list {
		rows = append(rows, plain(d.Address, d.Listener, number(d.Connections), age(d.Until.Sub(v.now))))
	}
	writeTable(&v.Builder, "", rows)
	v.WriteByte('\n')
}

// state is a word of status or health, in its colour.
func (v *view) state(word string) cell {
	if !v.color {
		return cell{text: word}
	}
	switch word {
	case "normal", "running", "active":
		return cell{word, "32"}
	case "abnormal":
		return cell{word, "31"}
	}
	return cell{word, "33"}
}

func (v *view) painted(word string) string {
	c := v.state(word)
	return paint(c.color, c.text)
}

func endpoint(ip string, port uint16) string {
	return net.JoinHostPort(ip, strconv.Itoa(int(port)))
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// count writes a number with its noun.
func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(n) + " " + noun
}

// age is a time span in one unit, as precise as it matters.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return number(int64(d/time.Second)) + "s"
	case d < time.Hour:
		return number(int64(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return number(int64(d/time.Hour)) + "h"
	}
	return number(int64(d/(24*time.Hour))) + "d"
}
