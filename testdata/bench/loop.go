//go:build linux

package main

import (
	"slbctl/runtime/netloop"

	"golang.org/x/sys/unix"
)

// freeLoop starts one event loop that may run on every core that this process may:
// what is to be pinned has been pinned from outside, and in the row without pinning
// the kernel is to choose.
func freeLoop() (loop *netloop.Loop, end func(), err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nil, nil, err
	}
	set, err := netloop.Start(1)
	if err != nil {
		return nil, nil, err
	}
	loop = set.Loops()[0]
	free := make(chan error, 1)
	loop.Post(func() { free <- unix.SchedSetaffinity(0, &allowed) })
	if err := <-free; err != nil {
		set.Close()
		return nil, nil, err
	}
	return loop, set.Close, nil
}
