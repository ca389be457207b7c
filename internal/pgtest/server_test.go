//go:build !windows

package pgtest_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/tiercache/tiercache/internal/pgtest"
)

func TestStart(t *testing.T) {
	var dir string
	t.Run("server", func(t *testing.T) {
		u, err := url.Parse(pgtest.Start(t).URL())
		if err != nil {
			t.Fatal(err)
		}
		dir = u.Query().Get("host")
		c, err := net.Dial("unix", filepath.Join(dir, ".s.PGSQL.5432"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("its directory is left: %v", err)
	}
}
