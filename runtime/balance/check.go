package balance

import (
	"strconv"
	"strings"
	"time"

	"slbctl/spec"
)

// Check is how the backends of a pool are probed. Two pools with equal Checks (==)
// of one group share their probes.
type Check struct {
	Enabled bool
	Type    string // spec.CheckTCP, CheckHTTP or CheckUDP
	// Interval is the pause between the end of one probe and the start of the
	// next, so a server that answers nothing is called abnormal
	// Unhealthy*Timeout + (Unhealthy-1)*Interval after its first lost probe.
	Interval time.Duration
	// Timeout ends a probe that got no answer. It is never shorter than
	// Interval: the product ignores a timeout below the interval.
	Timeout time.Duration
	// Healthy and Unhealthy are how many equal results in a row change the verdict.
	Healthy, Unhealthy int

	// Of HTTP.
	Domain string // Host header; empty = the server's address
	URI    string // path and query
	Method string // head or get
	Codes  Codes
	H2C    bool // the server is asked in HTTP/2 without TLS

	// Of UDP: what is sent and what must come back.
	Request, Expect string
}

// Codes is a set of classes of HTTP statuses: bit 2 is http_2xx, up to bit 5.
type Codes uint8

// Has reports whether a status is of one of the classes.
func (c Codes) Has(status int) bool {
	return status >= 200 && status < 600 && c&(1<<(status/100)) != 0
}

func newCheck(hc spec.HealthCheck) Check {
	c := Check{
		Enabled:   hc.Enabled,
		Type:      hc.Type,
		Interval:  hc.Interval,
		Timeout:   max(hc.Timeout, hc.Interval),
		Healthy:   hc.HealthyThreshold,
		Unhealthy: hc.UnhealthyThreshold,
		Domain:    hc.Domain,
		URI:       hc.URI,
		Method:    hc.Method,
		Request:   hc.Request,
		Expect:    hc.Expect,
	}
	for i, class := range [...]string{"http_2xx", "http_3xx", "http_4xx", "http_5xx"} {
		for _, code := range hc.HTTPCodes {
			if code == class {
				c.Codes |= 4 << i
			}
		}
	}
	return c
}

// String lists the classes as the language writes them: "http_2xx or http_3xx".
func (c Codes) String() string {
	var classes []string
	for n := 2; n <= 5; n++ {
		if c&(1<<n) != 0 {
			classes = append(classes, "http_"+strconv.Itoa(n)+"xx")
		}
	}
	return strings.Join(classes, " or ")
}
