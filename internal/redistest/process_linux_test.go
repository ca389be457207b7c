package redistest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A test binary that is killed runs no cleanup. The test starts this binary a second time and kills it.
func TestServerDiesWithItsTestBinary(t *testing.T) {
	const victim = "REDISTEST_VICTIM"
	if os.Getenv(victim) != "" {
		fmt.Println(redistest.Start(t).Addr())
		select {} // until killed
	}

	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsTestBinary$")
	cmd.Env = append(os.Environ(), victim+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	addr := lines.Text()
	answered := dial(addr)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if answered != nil {
		t.Fatalf("the victim's server at %q: %v", addr, answered)
	}

	for deadline := time.Now().Add(10 * time.Second); dial(addr) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server on %s outlived its test binary", addr)
		}
	}
}

func dial(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err
}
