package scan_test

import (
	"testing"

	"github.com/tiercache/tiercache/internal/scan"
)

func TestCursor(t *testing.T) {
	for _, c := range []scan.Cursor{{}, {7, ""}, {1 << 63, "[::1]:6379"}, {1, "user@host:1"}} {
		if got, err := scan.ParseCursor(c.String()); err != nil || got != c {
			t.Errorf("%v became %v, %v", c, got, err)
		}
	}
	if c, err := scan.ParseCursor(""); err != nil || c != (scan.Cursor{}) {
		t.Errorf("the beginning is %v, %v", c, err)
	}
	for _, bad := range []string{"7", "@", "x@host", "-1@host", "18446744073709551616@"} {
		if c, err := scan.ParseCursor(bad); err == nil {
			t.Errorf("%q is %v", bad, c)
		}
	}
}

func TestPattern(t *testing.T) {
	for prefix, want := range map[string]string{"": "*", "tc:users:": "tc:users:*", `a*?[x]\`: `a\*\?\[x\]\\*`} {
		if got := scan.Pattern(prefix); got != want {
			t.Errorf("%q: %s, want %s", prefix, got, want)
		}
	}
}
