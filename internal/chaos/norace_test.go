//go:build !race && !windows

package chaos_test

const raceDetector = false
