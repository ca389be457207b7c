package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	redis.SetLogger(discard{})
	goleak.VerifyTestMain(m)
}

// result is what a command did.
type result struct {
	code     int
	out, err string
}

// runCommand runs tiercache with the arguments, and the text as its standard input.
func runCommand(t *testing.T, input string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, streams{strings.NewReader(input), &out, &errs})
	return result{code, out.String(), errs.String()}
}

// volatile is what differs from run to run: durations and the bytes that they take, addresses, versions and their words.
var volatile = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`\d+ \* time\.Millisecond`), "N * time.Millisecond"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?(ns|µs|ms|s)\b`), "TIME"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST:PORT"},
	{regexp.MustCompile(`(redis|valkey) \d+\.\d+\.\d+`), "redis X.Y.Z"},
	{regexp.MustCompile("`hello`"), "'hello'"},
	{regexp.MustCompile(`(this user|User \w+) has no permissions`), "USER has no permissions"},
	{regexp.MustCompile(`: \d+ B, Redis`), ": N B, Redis"},
	{regexp.MustCompile(`schema [0-9a-f]{16}`), "schema HEX"},
	{regexp.MustCompile(`TIME, of \d+`), "TIME, of N"},
}

// wantGolden compares the text with a file of testdata. With -update it writes the file.
func wantGolden(t *testing.T, name, text string) {
	t.Helper()
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.text)
	}
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
