//go:build !windows

package redistest

import (
	"fmt"
	"os"
	"path/filepath"
)

// role is what a redis-server is started as.
type role int

const (
	standalone role = iota // REPLICAOF may make it a replica later
	clusterNode
	sentinel
)

// commandLine returns the arguments of redis-server.
func (s *Server) commandLine() ([]string, error) {
	args := []string{
		"--bind", "127.0.0.1", "--port", s.port.String(), "--protected-mode", "yes",
		"--dir", s.dir, "--save", "", "--appendonly", "no",
	}
	switch s.role {
	case clusterNode:
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", s.bus.String())
	case sentinel:
		// A sentinel rewrites its configuration file, which must exist and come first.
		file, err := os.OpenFile(filepath.Join(s.dir, "sentinel.conf"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("the sentinel's configuration: %w", err)
		}
		defer file.Close()
		args = append([]string{file.Name(), "--sentinel"}, args...)
	}
	return append(args, s.args...), nil
}

// reserve reserves the ports that the role needs.
func (s *Server) reserve() error {
	var err error
	if s.port, err = reservePort(); err != nil || s.role != clusterNode {
		return err
	}
	if s.bus, err = reservePort(); err != nil {
		s.port.release()
	}
	return err
}

func (s *Server) release() {
	s.port.release()
	if s.bus != nil {
		s.bus.release()
	}
}
