package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProcess(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := start(t.Context(), log, exec.Command("sh", "-c", "echo at http://127.0.0.1:1234.; echo more >&2; exec cat"))
	if err != nil {
		t.Fatal(err)
	}
	if p.url != "http://127.0.0.1:1234" {
		t.Errorf("it listens at %q", p.url)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
	if p.cmd.ProcessState == nil {
		t.Error("the process is still running")
	}
	if text, err := os.ReadFile(log); err != nil || !strings.HasPrefix(string(text), "at http://127.0.0.1:1234.\n") {
		t.Errorf("the log is %q, %v", text, err)
	}
}

func TestProcessThatDoesNotListen(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	if _, err := start(t.Context(), log, exec.Command("sh", "-c", "exit 3")); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a program that exits: the error is %v", err)
	}
	if _, err := start(t.Context(), log, exec.Command(filepath.Join(t.TempDir(), "nothing"))); err == nil {
		t.Error("a program that doesn't exist: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := start(ctx, log, exec.Command("cat")); err == nil {
		t.Error("a cancelled context: no error")
	}
}
