//go:build !failpoint

package durable

// Failpoint marks a place at which tests stop the process. Without the build
// tag failpoint it does nothing.
func Failpoint(string) {}

// operation is a failpoint, too.
func operation(bool) error { return nil }
