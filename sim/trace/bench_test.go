package trace

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the processor time that the process used so far: wall time on a shared machine
// measures its neighbours.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchLog is a log of 100 MB, by 100,000 clients for 2,000 targets, a little out of order.
func benchLog(line func(b *bytes.Buffer, i int, at time.Time)) []byte {
	var b bytes.Buffer
	start := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for i := 0; b.Len() < 100<<20; i++ {
		line(&b, i, start.Add(time.Duration(i)*200*time.Microsecond+time.Duration(i*7919%5000)*time.Microsecond))
	}
	return b.Bytes()
}

var benchLines = map[string]func(b *bytes.Buffer, i int, at time.Time){
	"combined": func(b *bytes.Buffer, i int, at time.Time) {
		fmt.Fprintf(b, "203.%d.%d.%d - - [%s] \"GET /shop/item/%d HTTP/1.1\" 200 %d \"http://www.abc.com/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\"\n",
			i%4, i%100, i*31%250, at.Format(clfTime), i%2000, i%50000)
	},
	"json": func(b *bytes.Buffer, i int, at time.Time) {
		fmt.Fprintf(b, `{"time":"%s","client_ip":"203.%d.%d.%d","client_port":%d,"host":"www.abc.com","http_host":"www.abc.com","request_method":"GET","request_uri":"/shop/item/%d","http_referer":"","http_user_agent":"Mozilla/5.0 (X11; Linux x86_64)","http_x_forwarded_for":"","http_x_real_ip":"","scheme":"http","server_protocol":"HTTP/1.1","slb_vport":80,"slbid":"lb-1","vip_addr":"127.10.0.3","status":200,"body_bytes_sent":%d,"request_length":78,"request_time":0.000412,"read_request_time":0.013,"write_response_time":0.021,"tcpinfo_rtt":31,"upstream_addr":"127.10.0.%d:80","upstream_response_time":0.000377,"upstream_status":200}`+"\n",
			at.Format(time.RFC3339Nano), i%4, i%100, i*31%250, 1024+i%60000, i%2000, i%50000, 1+i%16)
	},
	"haproxy": func(b *bytes.Buffer, i int, at time.Time) {
		fmt.Fprintf(b, "Nov 28 08:14:00 gate haproxy[814]: 203.%d.%d.%d:%d [%s] web app/ECS%02d 0/0/1/8/9 200 %d - - ---- 1/1/0/0/0 0/0 {www.abc.com} {} \"GET /shop/item/%d HTTP/1.1\"\n",
			i%4, i%100, i*31%250, 1024+i%60000, at.Format(haproxyTime+".000"), i%16, i%50000, i%2000)
	},
}

// BenchmarkImport tells CPU seconds for 100 MB of log.
func BenchmarkImport(b *testing.B) {
	for _, name := range []string{"combined", "json", "haproxy"} {
		b.Run(name, func(b *testing.B) {
			log := benchLog(benchLines[name])
			var used time.Duration
			var requests int64
			var out counter
			b.SetBytes(int64(len(log)))
			for b.Loop() {
				out = 0
				began := cpu()
				s, err := importLog(context.Background(), bytes.NewReader(log), &out, b.TempDir(), Options{})
				if err != nil {
					b.Fatal(err)
				}
				used += cpu() - began
				requests = s.Requests
			}
			b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/100MB")
			b.ReportMetric(float64(out)/float64(requests), "bytes/request")
		})
	}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// BenchmarkNext tells CPU ns for a request of a trace that is read.
func BenchmarkNext(b *testing.B) {
	var out bytes.Buffer
	if _, err := importLog(context.Background(), bytes.NewReader(benchLog(benchLines["json"])), &out, b.TempDir(), Options{}); err != nil {
		b.Fatal(err)
	}
	x, err := newTrace(bytes.NewReader(out.Bytes()), int64(out.Len()), func() error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	begin := *x
	var r Request
	b.ReportAllocs()
	began := cpu()
	for b.Loop() {
		if !x.Next(&r) {
			if x.Err() != nil {
				b.Fatal(x.Err())
			}
			buffer := x.buffer
			*x = begin
			x.buffer = buffer
		}
	}
	b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/request")
}
