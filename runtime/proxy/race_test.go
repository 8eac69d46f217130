//go:build linux && race

package proxy

const raceDetector = true // everything takes ten times as long
