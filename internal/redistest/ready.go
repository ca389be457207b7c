//go:build !windows

package redistest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// respondsAs reports whether the process pid answers on addr. It compares the process's ID, since another server may have
// taken the port.
func respondsAs(addr string, pid int) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := fmt.Fprint(conn, "PING\r\nINFO server\r\n"); err != nil {
		return false
	}
	lines := bufio.NewScanner(conn)
	if !lines.Scan() || lines.Text() != "+PONG" {
		return false
	}
	self := fmt.Sprintf("process_id:%d", pid)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "-") {
		if lines.Text() == self {
			return true
		}
	}
	return false
}

// Await calls f until it returns nil. After a minute it returns f's last error.
func Await(f func() error) error {
	const patience = time.Minute
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", patience, err)
		}
	}
}
