package pgxcache

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// outcomeUnknown are the SQLSTATEs of a COMMIT whose outcome isn't known: transaction_resolution_unknown and statement_completion_unknown.
var outcomeUnknown = map[string]bool{"08007": true, "40003": true}

// RolledBack reports whether an error of COMMIT says that the transaction was certainly rolled back: PostgreSQL refused it, as for a
// deferred constraint or a serialization failure, or the transaction had failed before. After a lost connection, a FATAL error or the
// end of a context it isn't known. It is for sqlcache.Options, too.
func RolledBack(err error) bool {
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refusal.SeverityUnlocalized == "ERROR" && !outcomeUnknown[refusal.Code]
	}
	return errors.Is(err, pgx.ErrTxCommitRollback)
}
