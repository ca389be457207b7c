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
	return parseInfo(text)
}

// Info returns a section of the server's INFO, by name.
func (s *Server) Info(section string) map[string]string {
	text, _ := s.Do("INFO", section).(string)
	return parseInfo(text)
}

func parseInfo(text string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			found[name] = value
		}
	}
	return found
}

// Number returns a number of a section of the server's INFO, and -1 if there is none of that name.
func (s *Server) Number(section, name string) int {
	n, err := strconv.Atoi(s.Info(section)[name])
	if err != nil {
		return -1
	}
	return n
}

// Calls returns how often the server executed each command, in scripts or not.
func (s *Server) Calls() map[string]int { return parseCalls(s.Info("commandstats")) }

// Calls is Server.Calls by a client.
func Calls(t testing.TB, client *redis.Client) map[string]int {
	t.Helper()
	return parseCalls(Info(t, client, "commandstats"))
}

func parseCalls(info map[string]string) map[string]int {
	calls := make(map[string]int)
	for name, stats := range info {
		command, is := strings.CutPrefix(name, "cmdstat_")
		n, _, _ := strings.Cut(strings.TrimPrefix(stats, "calls="), ",")
		if count, err := strconv.Atoi(n); is && err == nil {
			calls[command] = count
		}
	}
	return calls
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
