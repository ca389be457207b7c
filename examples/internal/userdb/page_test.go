package userdb_test

import (
	"testing"

	"github.com/tiercache/tiercache/examples/internal/userdb"
)

func TestParsePage(t *testing.T) {
	for _, c := range []struct {
		skip, limit string
		want        userdb.Page
		ok          bool
	}{
		{"", "", userdb.Page{Limit: 20}, true},
		{"0", "20", userdb.Page{Limit: 20}, true},
		{"40", "", userdb.Page{Skip: 40, Limit: 20}, true},
		{"", "20000", userdb.Page{Limit: 20_000}, true},
		{"-1", "", userdb.Page{}, false},
		{"x", "", userdb.Page{}, false},
		{"1e3", "", userdb.Page{}, false},
		{"99999999999999999999", "", userdb.Page{}, false},
		{"", "0", userdb.Page{}, false},
		{"", "-5", userdb.Page{}, false},
		{"", "20001", userdb.Page{}, false},
		{"", "20 ", userdb.Page{}, false},
	} {
		got, err := userdb.ParsePage(c.skip, c.limit)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParsePage(%q, %q) = %+v, %v, want %+v, ok: %v", c.skip, c.limit, got, err, c.want, c.ok)
		}
	}
}

func TestQuery(t *testing.T) {
	if got, want := (userdb.Page{Skip: 40, Limit: 20}).Query(), "limit=20&skip=40"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
