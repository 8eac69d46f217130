//go:build profile

package main

import (
	"fmt"
	"os"
	"runtime/pprof"
	"time"
)

// A binary of `make pgo` writes where its first seconds of processor time go into the
// folder that PROFILE names. The compiler reads their sum, default.pgo beside this file,
// at every build: what runs for each request is inlined further.
const (
	profileVariable = "PROFILE"
	profileSpan     = 5 * time.Second
)

func init() {
	folder := os.Getenv(profileVariable)
	if folder == "" {
		return
	}
	f, err := os.Create(fmt.Sprintf("%s/%d.pprof", folder, os.Getpid()))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		panic(err)
	}
	time.AfterFunc(profileSpan, func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			panic(err)
		}
	})
}
