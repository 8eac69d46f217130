package runtime_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"slbctl/runtime/control"
)

// TestVerdictsOutliveTheDaemon stops a daemon that knows a server as ill, lets the
// server get well meanwhile, and expects the next one to ask for a whole row of
// successes; without the file the first would do.
func TestVerdictsOutliveTheDaemon(t *testing.T) {
	c := oneServer(network(t), time.Second)
	c.Instances[1].Ports = []uint16{80}
	check := &c.LoadBalancers[0].Listeners[0].HealthCheck
	check.Port, check.Interval, check.HealthyThreshold = 81, 100*time.Millisecond, 10
	dir := t.TempDir()
	d := start(t, dir)
	if err := d.request(c, control.WaitNone); err != nil {
		t.Fatal(err)
	}
	health := func() control.Backend { return d.status().LoadBalancers[0].Listeners[0].Backends[0] }
	eventually(t, "the server is ill", func() bool { return health().Health == "abnormal" })
	since := health().Since
	d.stop()

	path := filepath.Join(dir, control.Folder, "health.json")
	for damaged, data := range [][]byte{nil, []byte("{")} {
		if data != nil {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d = start(t, dir)
		if data == nil {
			if b := health(); b.Health != "abnormal" || !b.Since.Equal(since) || b.Reason != "connection refused" {
				t.Errorf("came back with %+v, want it ill since %v", b, since)
			}
		} else {
			eventually(t, "a verdict is found anew", func() bool { return health().Health == "abnormal" })
			if b := health(); b.Since.Equal(since) {
				t.Errorf("case %d: a damaged file was believed", damaged)
			}
		}
		d.stop()
	}
}
