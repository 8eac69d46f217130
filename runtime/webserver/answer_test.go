package webserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

// TestAnswer holds what an instance is said to answer to what its socket answers.
func TestAnswer(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.0.0.1")
	i := siteAt(endpoint, folderOf(t))
	i.Pages = []spec.Page{
		{Path: "/page", Content: "page\n", Headers: map[string]string{"X-A": "1"}},
		{Path: "/gone", Status: http.StatusGone, ContentType: "text/x"},
		{Path: "/empty", Status: http.StatusNoContent},
	}
	i.Fault = &spec.InstanceFault{Delay: time.Millisecond}
	set(t, c, i)
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
		for _, target := range []string{"/page", "/page?x=1", "/p%61ge", "/gone", "/empty", "/", "/none", "/index.html", "/%zz"} {
			status, header, unknown := i.Answer(method, target, http.Header{})
			line := exchange(t, endpoint, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, target))
			want := fmt.Sprintf("HTTP/1.1 %d", status)
			if unknown != "" || !strings.HasPrefix(line, want) {
				t.Errorf("%s %s: said %d, %q; answers %q", method, target, status, unknown, line)
			}
			if (header.Get("X-A") == "1") != (status == http.StatusOK && strings.HasPrefix(target, "/p")) {
				t.Errorf("%s %s: headers %v", method, target, header)
			}
		}
	}
	for unknown, i := range map[string]Instance{
		"runs a program":  {Protocol: spec.ProtocolHTTP, Command: []string{"sleep", "60"}},
		"speaks tcp_echo": {Protocol: spec.ProtocolTCPEcho},
		"has a fault":     {Protocol: spec.ProtocolHTTP, Fault: &spec.InstanceFault{ErrorRate: 0.1}},
	} {
		if _, _, why := i.Answer("GET", "/", nil); why != unknown {
			t.Errorf("%+v: %q, want %q", i, why, unknown)
		}
	}
}
