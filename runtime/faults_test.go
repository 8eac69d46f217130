package runtime_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"slbctl/spec"
)

// TestFaultOfWhoIsGone: who asks for a fault and is gone before it is there, as a command that is killed, leaves an
// instance that does what status says of it.
func TestFaultOfWhoIsGone(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	i := c.Instances[0]
	gone := 0
	for k := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(k)*20*time.Microsecond)
		_ = d.client.SetFault(ctx, i.Address, &spec.InstanceFault{Refuse: true}, 0) // it may have happened all the same
		cancel()
		said := ""
		eventually(t, "the instance does what status says", func() bool {
			said = d.status().Instances[0].Fault
			conn, err := net.Dial("tcp", fmt.Sprintf("%s:8080", i.IP))
			if err == nil {
				conn.Close()
			}
			return (said == "") == (err == nil)
		})
		if said == "" {
			gone++
			continue
		}
		if err := d.client.SetFault(t.Context(), i.Address, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of 100 were gone before", gone)
}
