//go:build race

package runtime_test

// raceDetector makes tests that count by the ten thousands count less: it is some
// ten times slower.
const raceDetector = true
