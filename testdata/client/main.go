// Command client asks a web server or a name server, for machines that have
// neither curl nor dig:
//
//	go run ./testdata/client get http://127.10.0.4
//	go run ./testdata/client get http://127.10.0.6/tom www.aaa.com
//	go run ./testdata/client resolve 127.10.0.1:53 www.abc.com
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/miekg/dns"
)

const patience = 5 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "get":
		return get(args[1], "")
	case len(args) == 3 && args[0] == "get":
		return get(args[1], args[2])
	case len(args) == 3 && args[0] == "resolve":
		return resolve(args[1], args[2])
	}
	return fmt.Errorf("usage: client get URL [DOMAIN] | client resolve SERVER NAME")
}

// get prints the page at url, asked for by the name of a domain if one is given.
func get(url, domain string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if domain != "" {
		req.Host = domain
	}
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// resolve prints the A records of a name, as `dig +noall +answer` does.
func resolve(server, name string) error {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	answer, _, err := (&dns.Client{Timeout: patience}).Exchange(query, server)
	if err != nil {
		return err
	}
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("%s: %s", name, dns.RcodeToString[answer.Rcode])
	}
	for _, record := range answer.Answer {
		fmt.Println(record)
	}
	return nil
}
