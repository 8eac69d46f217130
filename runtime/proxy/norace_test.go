//go:build linux && !race

package proxy

const raceDetector = false
