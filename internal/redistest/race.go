//go:build race

package redistest

// RaceDetector says whether the binary has the race detector, under which everything takes longer.
const RaceDetector = true
