// Package codeclist finds the codecs of package codec, for tests that no list of them lacks one.
package codeclist

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var exported = regexp.MustCompile(`(?m)^(?:var ([A-Z]\w*) Codec\b|func ([A-Z]\w*)\(inner Codec\b.*\) \(?Codec\b)`)

// Exported returns the names of the variables that are codecs, and of the functions that wrap one, in the package in the folder.
func Exported(t testing.TB, folder string) (variables, wrappers []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range exported.FindAllStringSubmatch(string(source), -1) {
			if m[1] != "" {
				variables = append(variables, m[1])
			} else {
				wrappers = append(wrappers, m[2])
			}
		}
	}
	return variables, wrappers
}
