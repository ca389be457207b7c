package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed package.json package-lock.json origin.mjs client.mjs
var files embed.FS

// servers has what is tested: the servers on which examples/proxy can run, and a client.
var servers = []string{"nethttp", "fiber", client}

// client is a private cache in an http.Client: see relay.go.
const client = "transport"

// suite is the installed test suite, with a proxy to run it against.
type suite struct {
	dir      string // where npm installed it
	proxy    string // the program
	baseline string // the file
}

// install installs the suite, if necessary, and builds the proxy.
func install(ctx context.Context) (*suite, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w: make conformance installs it on Debian and Ubuntu", err)
		}
	}
	root, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tiercache/tiercache")
	if err != nil {
		return nil, err
	}
	s := &suite{
		dir:      filepath.Join(root, ".conformance"),
		proxy:    filepath.Join(root, ".conformance", "proxy"),
		baseline: filepath.Join(root, "internal", "conformance", "baseline.txt"),
	}
	if err := s.installPackages(ctx); err != nil {
		return nil, err
	}
	_, err = output(ctx, root, "go", "build", "-o", s.proxy, "./examples/proxy")
	return s, err
}

// installPackages installs the packages of the lock file, unless they are installed, and copies the scripts.
func (s *suite) installPackages(ctx context.Context) error {
	lock, err := files.ReadFile("package-lock.json")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	done := filepath.Join(s.dir, "node_modules", "installed") // npm ci begins by removing the folder
	was, err := os.ReadFile(done)
	there := err == nil && bytes.Equal(was, lock)
	if err := s.copyFiles(); err != nil || there {
		return err
	}
	if _, err := output(ctx, s.dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"); err != nil {
		return err
	}
	return os.WriteFile(done, lock, 0o644)
}

func (s *suite) copyFiles() error {
	entries, err := files.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		content, err := files.ReadFile(e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, e.Name()), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// run runs the tests, or only those in ids, against a new proxy with a new origin.
func (s *suite) run(ctx context.Context, server string, ids []string) (o *outcome, err error) {
	origin, err := start(ctx, filepath.Join(s.dir, "origin.log"), s.node("origin.mjs"))
	if err != nil {
		return nil, err
	}
	defer endInto(origin, &err)
	if server == client {
		relay, err := startRelay(filepath.Join(s.dir, server+".log"), origin.url)
		if err != nil {
			return nil, err
		}
		defer endInto(relay, &err)
		return s.test(ctx, relay.url, "private", ids)
	}
	args := []string{"-origin", origin.url, "-listen", "127.0.0.1:0", "-redis", ""}
	if server == "fiber" {
		args = append(args, "-fiber")
	}
	proxy, err := start(ctx, filepath.Join(s.dir, server+".log"), exec.Command(s.proxy, args...))
	if err != nil {
		return nil, err
	}
	defer endInto(proxy, &err)
	return s.test(ctx, proxy.url, "shared", ids)
}

// test runs the tests for a shared or a private cache at a URL.
func (s *suite) test(ctx context.Context, url, kind string, ids []string) (o *outcome, err error) {
	document, err := output(ctx, s.dir, "node", append([]string{"client.mjs", url, kind}, ids...)...)
	if err != nil {
		return nil, err
	}
	o = new(outcome)
	if err := json.Unmarshal([]byte(document), o); err != nil {
		return nil, fmt.Errorf("the output of the suite's client: %w", err)
	}
	return o, nil
}

func (s *suite) node(script string) *exec.Cmd {
	cmd := exec.Command("node", script)
	cmd.Dir = s.dir
	return cmd
}

// output runs a program and returns its standard output.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.WaitDelay = patience // if it leaves a child behind that holds the pipe open
	said, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("%s %s: %w\n%s", program, args[0], err, exit.Stderr)
		}
		return "", fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return strings.TrimSpace(string(said)), nil
}
