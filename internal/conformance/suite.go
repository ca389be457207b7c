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

// servers are what examples/proxy can run on.
var servers = []string{"nethttp", "fiber"}

// suite is the test suite, installed, with a proxy to run it against.
type suite struct {
	dir      string // where npm installed it
	proxy    string // the program
	baseline string // the file
}

// install brings the suite and builds the proxy. What is there is kept.
func install(ctx context.Context) (*suite, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w: make conformance installs it where it can", err)
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
	if err := s.bring(ctx); err != nil {
		return nil, err
	}
	_, err = output(ctx, root, "go", "build", "-o", s.proxy, "./examples/proxy")
	return s, err
}

// bring installs the packages of the lock file, unless they are there, and copies the scripts.
func (s *suite) bring(ctx context.Context) error {
	lock, err := files.ReadFile("package-lock.json")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	done := filepath.Join(s.dir, "node_modules", "installed") // npm ci starts with removing the folder
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

// run runs the tests, all or some, against a proxy of its own with an origin of its own.
func (s *suite) run(ctx context.Context, server string, ids []string) (o *outcome, err error) {
	origin, err := start(ctx, filepath.Join(s.dir, "origin.log"), s.node("origin.mjs"))
	if err != nil {
		return nil, err
	}
	defer ending(origin, &err)
	args := []string{"-origin", origin.url, "-listen", "127.0.0.1:0", "-redis", ""}
	if server == "fiber" {
		args = append(args, "-fiber")
	}
	proxy, err := start(ctx, filepath.Join(s.dir, server+".log"), exec.Command(s.proxy, args...))
	if err != nil {
		return nil, err
	}
	defer ending(proxy, &err)
	document, err := output(ctx, s.dir, "node", append([]string{"client.mjs", proxy.url}, ids...)...)
	if err != nil {
		return nil, err
	}
	o = new(outcome)
	if err := json.Unmarshal([]byte(document), o); err != nil {
		return nil, fmt.Errorf("what the suite's client says: %w", err)
	}
	return o, nil
}

func (s *suite) node(script string) *exec.Cmd {
	cmd := exec.Command("node", script)
	cmd.Dir = s.dir
	return cmd
}

// output runs a program to its end and returns what it says.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.WaitDelay = patience // should it leave a child behind that holds the pipe
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
