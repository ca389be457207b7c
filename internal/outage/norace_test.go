//go:build !race && !windows

package outage_test

const raceDetector = false
