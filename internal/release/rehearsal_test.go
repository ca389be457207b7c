package main

import (
	"testing"

	"golang.org/x/mod/modfile"
)

func TestRehearsal(t *testing.T) {
	for name, c := range map[string]struct {
		committed, changed map[string]string
		want               string
	}{
		"works":                 {},
		"changes don't count":   {changed: map[string]string{"core/core.go": "package", "README.md": ""}},
		"program fails":         {committed: map[string]string{"core/core.go": "package core\n\nfunc Answer() int { return 41 }\n"}, want: "panic: 41"},
		"adapter doesn't build": {committed: map[string]string{"adapters/web/web.go": "package web\n\nimport \"lib.test/cache/core\"\n\nvar Answer = core.Question\n"}, want: "undefined: core.Question"},
		"command fails":         {committed: map[string]string{"cmd/tool/main.go": "package main\n\nfunc main() { panic(41) }\n"}, want: "panic: 41"},
		"no such command":       {committed: map[string]string{"cmd/tool/main.go": ""}, want: "does not contain package lib.test/cache/cmd/tool"},
		"no line in the README": {committed: map[string]string{"README.md": "    go get lib.test/cache/core\n"}, want: `no line "go get" for lib.test/cache/adapters/web`},
		"wrong line":            {committed: map[string]string{"README.md": "    go get lib.test/cache/nothing\n"}, want: "does not contain package"},
		"other license":         {committed: map[string]string{"adapters/web/LICENSE": "not free\n"}, want: "adapters/web/LICENSE isn't the repository's"},
		"no program":            {committed: map[string]string{smoke + "core/main.go": ""}, want: "no such file"},
		"a module isn't tidy":   {committed: map[string]string{"examples/main.go": "package main\n\nfunc main() {}\n"}, want: "isn't tidy"},
		"file isn't committed":  {committed: map[string]string{".gitignore": "core/core.go\n"}, want: "does not contain package lib.test/cache/core"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepository(t, c.committed)
			for name, content := range c.changed {
				write(t, repo, name, content)
			}
			before := state(t, repo)
			wantError(t, rehearse(repo, throwAway), c.want)
			if after := state(t, repo); after != before {
				t.Errorf("a rehearsal changed\n%s\nto\n%s", before, after)
			}
		})
	}
}

// A user of the core must not get what only an adapter needs.
func TestBuildList(t *testing.T) {
	const needed = "module user\n\ngo 1.26.0\n\nrequire lib.test/heavy v1.0.0\n\nreplace lib.test/heavy => ./heavy\n"
	dir := repository(t.TempDir())
	write(t, dir, "go.mod", needed)
	write(t, dir, "heavy/go.mod", "module lib.test/heavy\n\ngo 1.26.0\n")
	core := parsed(t, "module lib.test/cache\n")
	adapter := parsed(t, "module lib.test/cache/adapters/web\n\nrequire lib.test/cache v0.1.0\n\nrequire lib.test/heavy v1.0.0\n")
	u := &users{published: []workModule{core, adapter}, env: []string{"GOWORK=off", "GOFLAGS=-mod=mod"}}
	wantError(t, u.checkBuildList(core, string(dir)), "its build list has lib.test/heavy")
	wantError(t, u.checkBuildList(adapter, string(dir)), "")
}

func parsed(t *testing.T, text string) workModule {
	t.Helper()
	mod, err := modfile.Parse("go.mod", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return workModule{mod: mod}
}
