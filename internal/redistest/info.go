package redistest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Info returns the numbers in a server's INFO, by name.
func Info(t testing.TB, client *redis.Client, sections ...string) map[string]string {
	t.Helper()
	text, err := client.Info(t.Context(), sections...).Result()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			found[name] = value
		}
	}
	return found
}

// ProcessorTime returns the processor time that a server has used. Unlike elapsed time, it doesn't depend on other work on the
// machine.
func ProcessorTime(t testing.TB, client *redis.Client) (sum time.Duration) {
	t.Helper()
	of := Info(t, client, "cpu")
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(of[name], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(seconds * float64(time.Second))
	}
	return sum
}
