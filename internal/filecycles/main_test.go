package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module m\n\ngo 1.26\n",
		"a.go":      "package m\n\ntype a[T any] struct{ field T }\n\nfunc (x *a[T]) first(y *b) { y.second() }\n",
		"b.go":      "package m\n\ntype b struct{}\n\nfunc (*b) second() { new(c).third() }\n",
		"c.go":      "package m\n\ntype c struct{}\n\nfunc (*c) third() { new(a[int]).first(nil) }\n",
		"top.go":    "package m\n\nvar _ = new(a[string]).field\n",
		"d_test.go": "package m\n\nvar _ = top\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	for limit, want := range map[int]string{
		3: "",
		2: "m: a cycle of 3 files: a.go b.go c.go\n\ta.go uses b.go: b second\n\tb.go uses c.go: c third\n\tc.go uses a.go: a first\n",
	} {
		var out strings.Builder
		long, err := check(&out, limit, []string{"."})
		if err != nil || out.String() != want || (long > 0) != (want != "") {
			t.Errorf("limit %d: %d cycles, %v:\n%s", limit, long, err, out.String())
		}
	}
}
