package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// baseline has the accepted verdicts of each server's tests.
type baseline map[string]map[string]verdict

// readBaseline reads a file whose lines have a test's ID and a verdict for each server. If there is no such file it
// returns an empty baseline.
func readBaseline(file string) (baseline, error) {
	b := make(baseline)
	for _, server := range servers {
		b[server] = make(map[string]verdict)
	}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(fields) != 1+len(servers) {
			return nil, fmt.Errorf("%s: %q: want a test's ID and %d verdicts", file, line, len(servers))
		}
		for i, server := range servers {
			v := verdict(fields[1+i])
			if !slices.Contains(verdicts, v) {
				return nil, fmt.Errorf("%s: %q: %q isn't a verdict", file, line, v)
			}
			b[server][fields[0]] = v
		}
	}
	return b, nil
}

// set replaces the verdicts of the tests that ran.
func (b baseline) set(server string, verdicts map[string]verdict) {
	for id, v := range verdicts {
		if v != untested {
			b[server][id] = v
		}
	}
}

func (b baseline) write(file string) error {
	ids := make(map[string]bool)
	for _, server := range servers {
		for id := range b[server] {
			ids[id] = true
		}
	}
	var out bytes.Buffer
	line := func(first string, cell func(server string) string) {
		text := fmt.Sprintf("%-60s", first)
		for _, server := range servers {
			text += fmt.Sprintf(" %-10s", cell(server))
		}
		fmt.Fprintln(&out, strings.TrimRight(text, " "))
	}
	line("# go run ./internal/conformance -update", func(server string) string { return server })
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		line(id, func(server string) string { return string(cmp.Or(b[server][id], untested)) })
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}
