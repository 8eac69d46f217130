package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onInterrupt calls first on the first SIGINT or SIGTERM and again on the second. After stop
// they are ignored: whoever is done ends with the exit code of what was done.
func onInterrupt(first, again func()) (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for _, act := range []func(){first, again} {
			select {
			case <-signals:
				act()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Ignore(os.Interrupt, syscall.SIGTERM)
		close(done)
	}
}
