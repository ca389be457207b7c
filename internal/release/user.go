package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// users try the published modules out, each in an empty module of its own.
type users struct {
	repo      repository
	version   string
	published []workModule
	scratch   string
	cache     string   // the module cache, empty at first: a version of the next rehearsal has other contents
	env       []string // of the go command
}

func newUsers(repo repository, version, scratch, proxy string) (*users, error) {
	u := &users{repo: repo, version: version, scratch: scratch, cache: filepath.Join(scratch, "modules")}
	var err error
	if u.published, err = repo.published(); err != nil {
		return nil, err
	}
	out, err := run(scratch, nil, "go", "env", "-json", "GOPROXY", "GOMODCACHE", "GONOSUMDB")
	if err != nil {
		return nil, err
	}
	var own struct{ GOPROXY, GOMODCACHE, GONOSUMDB string }
	if err := json.Unmarshal([]byte(out), &own); err != nil {
		return nil, err
	}
	downloaded := filepath.Join(own.GOMODCACHE, "cache", "download")
	unlisted := make([]string, len(u.published)) // in no checksum database
	for i, m := range u.published {
		unlisted[i] = m.path()
	}
	u.env = []string{
		"GOWORK=off",
		"GOMODCACHE=" + u.cache,
		// What this machine has downloaded needn't be downloaded again.
		"GOPROXY=" + fileURL(proxy) + "," + fileURL(downloaded) + "," + own.GOPROXY,
		"GONOSUMDB=" + strings.Join(append(unlisted, own.GONOSUMDB), ","),
		// With -trimpath the results of an earlier rehearsal are found in the build cache.
		"GOFLAGS=-trimpath -modcacherw",
	}
	return u, nil
}

func fileURL(path string) string { return "file://" + filepath.ToSlash(path) }

// tryOut follows the README in an empty module, and builds and runs the smoke test of the module there.
func (u *users) tryOut(m workModule) error {
	name := m.dir
	if name == "." {
		name = "core"
	}
	dir := filepath.Join(u.scratch, "user", filepath.FromSlash(name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lines, err := u.installLines(m)
	if err != nil {
		return err
	}
	if _, err := u.run(dir, "go", "mod", "init", "user"); err != nil {
		return err
	}
	for _, pkg := range lines {
		if _, err := u.run(dir, "go", "get", pkg+"@"+u.version); err != nil {
			return err
		}
	}
	program := u.repo.file("internal/release/testdata/smoke/" + name)
	if err := os.CopyFS(dir, os.DirFS(program)); err != nil {
		return err
	}
	if _, err := u.run(dir, "go", "build", "-o", "smoke", "."); err != nil {
		return err
	}
	if _, err := u.run(dir, filepath.Join(dir, "smoke")); err != nil {
		return err
	}
	return errors.Join(u.tryCommands(m, dir), u.checkLicense(m), u.checkBuildList(m, dir))
}

// tryCommands installs the commands of the module that the README tells users to install, and has each print its help. go install refuses a
// module whose go.mod has a replace directive.
func (u *users) tryCommands(m workModule, dir string) error {
	packages, err := u.readmeLines(m, `go install (\S+)@latest`)
	if err != nil {
		return err
	}
	for _, pkg := range packages {
		if _, err := run(dir, append([]string{"GOBIN=" + dir}, u.env...), "go", "install", pkg+"@"+u.version); err != nil {
			return err
		}
		if _, err := u.run(dir, filepath.Join(dir, path.Base(pkg)), "help"); err != nil {
			return err
		}
	}
	return nil
}

func (u *users) run(dir, name string, args ...string) (string, error) {
	return run(dir, u.env, name, args...)
}

// installLines returns the packages of the module that the README tells users to get.
func (u *users) installLines(m workModule) ([]string, error) {
	packages, err := u.readmeLines(m, `go get (\S+)`)
	if err == nil && packages == nil {
		return nil, fmt.Errorf("README.md and docs/README.md have no line \"go get\" for %s", m.path())
	}
	return packages, err
}

// readmeLines returns the packages of the module in the lines of README.md and docs/README.md that have the form of a command.
func (u *users) readmeLines(m workModule, form string) ([]string, error) {
	readme, err := os.ReadFile(u.repo.file("README.md"))
	if err != nil {
		return nil, err
	}
	docs, err := os.ReadFile(u.repo.file("docs/README.md"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	readme = append(readme, docs...)
	var packages []string
	for _, line := range regexp.MustCompile(`(?m)^    `+form+`(?: +#.*)?$`).FindAllSubmatch(readme, -1) {
		if pkg := string(line[1]); u.moduleOf(pkg) == m.path() && !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	return packages, nil
}

// moduleOf returns the path of the published module that has the package, or "".
func (u *users) moduleOf(pkg string) string {
	var longest string
	for _, m := range u.published {
		if strings.HasPrefix(pkg+"/", m.path()+"/") && len(m.path()) > len(longest) {
			longest = m.path()
		}
	}
	return longest
}

// checkLicense returns an error unless the users got the repository's license with the module.
func (u *users) checkLicense(m workModule) error {
	own, err := os.ReadFile(u.repo.file("LICENSE"))
	if err != nil {
		return err
	}
	got, err := os.ReadFile(filepath.Join(u.cache, filepath.FromSlash(m.path())+"@"+u.version, "LICENSE"))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, own) {
		return fmt.Errorf("%s/LICENSE isn't the repository's", m.dir)
	}
	return nil
}

// checkBuildList returns an error if the build list of the user in dir has a module that only other published modules need: a
// user of the core must not get Fiber. scripts/modules.sh checks the packages that the core imports.
func (u *users) checkBuildList(m workModule, dir string) error {
	list, err := u.run(dir, "go", "list", "-m", "-f", "{{.Path}}", "all")
	if err != nil {
		return err
	}
	graph, err := u.run(dir, "go", "mod", "graph")
	if err != nil {
		return err
	}
	built := strings.Fields(list)
	for _, path := range u.foreign(m) {
		if slices.Contains(built, path) && !u.neededBy(m, path, graph) {
			return fmt.Errorf("its build list has %s, which it doesn't need", path)
		}
	}
	return nil
}

// foreign returns the modules that other published modules require directly, and m doesn't require.
func (u *users) foreign(m workModule) []string {
	var paths []string
	for _, other := range u.published {
		for _, r := range other.mod.Require {
			if !r.Indirect && !requires(m, r.Mod.Path) && r.Mod.Path != m.path() {
				paths = append(paths, r.Mod.Path)
			}
		}
	}
	return paths
}

// neededBy reports whether one of the module's own dependencies requires the path, such as grpc, which requires OpenTelemetry. Those that
// the core has, too, don't count: nobody who uses the core needs more than the core does.
func (u *users) neededBy(m workModule, path, graph string) bool {
	for edge := range strings.Lines(graph) {
		from, to, _ := strings.Cut(strings.TrimSpace(edge), " ")
		from, _, _ = strings.Cut(from, "@")
		to, _, _ = strings.Cut(to, "@")
		if to == path && requires(m, from) && !strings.HasPrefix(from+"/", u.published[0].path()+"/") && !requires(u.published[0], from) {
			return true
		}
	}
	return false
}

func requires(m workModule, path string) bool {
	for _, r := range m.mod.Require {
		if r.Mod.Path == path {
			return true
		}
	}
	return false
}
