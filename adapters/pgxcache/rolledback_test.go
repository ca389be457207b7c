//go:build !windows

package pgxcache_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tiercache/tiercache/adapters/pgxcache"
)

func TestRolledBack(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "40001"}, true}, // serialization_failure
		{fmt.Errorf("wrapped: %w", &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "23503"}), true},
		{&pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01"}, false}, // admin_shutdown
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "08007"}, false},
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "40003"}, false},
		{pgx.ErrTxCommitRollback, true},
		{pgx.ErrTxClosed, false},
		{context.Canceled, false},
		{io.ErrUnexpectedEOF, false},
	} {
		if got := pgxcache.RolledBack(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
