package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// request makes a GET of a URL and header fields, each NAME:VALUE.
func request(ts *testscript.TestScript, url string, fields []string) *http.Request {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	ts.Check(err)
	for _, f := range fields {
		name, value, ok := strings.Cut(f, ":")
		if !ok {
			ts.Fatalf("%q is no NAME:VALUE", f)
		}
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	return req
}

// web is a client of one connection a request, which follows no redirect.
func web(jar http.CookieJar) *http.Client {
	return &http.Client{
		Timeout: patience, Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetchPages asks N times and prints the bodies, which all have to be found.
func fetchPages(ts *testscript.TestScript, client *http.Client, url string, args []string) {
	n := 1
	if len(args) > 0 {
		if count, err := strconv.Atoi(args[0]); err == nil {
			n, args = count, args[1:]
		}
	}
	for range n {
		resp, err := client.Do(request(ts, url, args))
		ts.Check(err)
		_, err = io.Copy(ts.Stdout(), resp.Body)
		ts.Check(err)
		ts.Check(resp.Body.Close())
		if resp.StatusCode != http.StatusOK {
			ts.Fatalf("%s: %s", url, resp.Status)
		}
	}
}

// get URL [N] [NAME:VALUE...]: fetches the page N times, each over a connection of
// its own, and prints the bodies. ! get expects that there is no answer, and prints why.
func verbGet(ts *testscript.TestScript, neg bool, args []string) {
	if !neg {
		fetchPages(ts, web(nil), args[0], args[1:])
		return
	}
	resp, err := web(nil).Do(request(ts, args[0], args[1:]))
	if err == nil {
		ts.Fatalf("%s answers %s", args[0], resp.Status)
	}
	fmt.Fprintln(ts.Stderr(), err)
}

// browse URL [N] [NAME:VALUE...]: as get, by one client that keeps its cookies.
func verbBrowse(ts *testscript.TestScript, neg bool, args []string) {
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	fetchPages(ts, web(jar), args[0], args[1:])
}

// answer URL [NAME:VALUE...]: prints status, header and body, whatever they are.
func verbAnswer(ts *testscript.TestScript, neg bool, args []string) {
	resp, err := web(nil).Do(request(ts, args[0], args[1:]))
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), resp.Proto, resp.Status)
	var header strings.Builder
	ts.Check(resp.Header.Write(&header))
	fmt.Fprintln(ts.Stdout(), strings.ReplaceAll(header.String(), "\r\n", "\n"))
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	ts.Check(resp.Body.Close())
}

// burst URL N: asks N times, as fast as it can, and prints how many answers had
// which status.
func verbBurst(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answers := map[int]int{}
	for range n {
		resp, err := client.Get(args[0])
		ts.Check(err)
		_, err = io.Copy(io.Discard, resp.Body)
		ts.Check(err)
		ts.Check(resp.Body.Close())
		answers[resp.StatusCode]++
	}
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		fmt.Fprintln(ts.Stdout(), status, answers[status])
	}
}

// datagram ADDRESS TEXT: sends a datagram and prints the one that comes back.
// ! datagram expects none.
func verbDatagram(ts *testscript.TestScript, neg bool, args []string) {
	conn, err := net.Dial("udp", args[0])
	ts.Check(err)
	defer conn.Close()
	_, err = io.WriteString(conn, args[1])
	ts.Check(err)
	wait := patience
	if neg {
		wait = 300 * time.Millisecond
	}
	ts.Check(conn.SetReadDeadline(time.Now().Add(wait)))
	buf := make([]byte, 1<<16)
	switch got, err := conn.Read(buf); {
	case neg && err == nil:
		ts.Fatalf("%s answers %q", args[0], buf[:got])
	case !neg:
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), string(buf[:got]))
	}
}
