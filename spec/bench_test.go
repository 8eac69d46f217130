package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func blocks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "instance \"web%d\" {\n  zone = \"cn-hangzhou-b\"\n  page \"/\" { content = \"Hello %d\\n\" }\n}\n\n", i, i)
	}
	return b.String()
}

func counted(n int) string {
	return fmt.Sprintf("instance \"web\" {\n  count = %d\n  zone = \"cn-hangzhou-b\"\n  page \"/\" { content = \"Hello ${count.index}\\n\" }\n}\n", n)
}

// BenchmarkLoad5000Blocks and BenchmarkLoad5000Count hold Load to 0.2 s CPU and
// 45 MiB for 5,000 resources. "cpu-ms/op" counts both cores, the collector too.
func BenchmarkLoad5000Blocks(b *testing.B) { benchmarkLoad(b, blocks(5000)) }

func BenchmarkLoad1000Blocks(b *testing.B) { benchmarkLoad(b, blocks(1000)) }

func BenchmarkLoad5000Count(b *testing.B) { benchmarkLoad(b, counted(5000)) }

// BenchmarkLoad5000References refers to all resources of a block at once, to some of them
// by a computed index, and to each by its own.
func BenchmarkLoad5000References(b *testing.B) {
	benchmarkLoad(b, counted(5000)+`
dns_zone "a.test" {
  dynamic "record" {
    for_each = range(1000)
    labels   = ["h${record.value}", "A"]
    content { value = instance.web[record.value].address }
  }
}
server_group "all" {
  backend { instance = instance.web }
}
server_group "each" {
  count = 5000
  backend { instance = instance.web[count.index] }
}
`)
}

// BenchmarkLoadACL100000 reads a list as long as the data plane is made for.
func BenchmarkLoadACL100000(b *testing.B) {
	var src strings.Builder
	src.WriteString("acl \"big\" {\n  entries = [\n")
	for i := range 100_000 {
		fmt.Fprintf(&src, "    \"%d.%d.%d.0/24\",\n", 1+i>>16, i>>8&255, i&255)
	}
	src.WriteString("  ]\n}\n")
	benchmarkLoad(b, src.String())
}

func benchmarkLoad(b *testing.B, src string) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.slb.hcl"), []byte(src), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		if _, diags := Load(dir, Options{}); diags.HasErrors() {
			b.Fatal(render(diags))
		}
	}
	b.ReportMetric(float64(cpu(b)-start)/float64(b.N)/1e6, "cpu-ms/op")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys-m.HeapReleased)/(1<<20), "heap-MiB")
}

func cpu(b testing.TB) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
