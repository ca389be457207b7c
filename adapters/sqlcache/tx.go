package sqlcache

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tiercache/tiercache/tiered/aftercommit"
)

// Options configures transactions. The zero Options is ready to use.
type Options struct {
	aftercommit.Options

	// TxOptions are those of BeginTx. nil: the driver's defaults.
	TxOptions *sql.TxOptions

	// RolledBack reports whether an error of COMMIT says that the transaction was certainly rolled back, as by a deferred constraint.
	// Then the holds end at once. nil: the outcome counts as unknown, and the holds end by themselves. For pgx it is
	// pgxcache.RolledBack.
	RolledBack func(error) bool
}

// Beginner begins transactions. *sql.DB and *sql.Conn do.
type Beginner interface {
	BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error)
}

// Tx is a transaction that invalidates caches when it is committed. Its field Tx is for libraries that need a *sql.Tx, which must not
// commit it.
type Tx struct {
	*sql.Tx
	changes aftercommit.Changes
	options Options
	ctx     context.Context
}

// Begin begins a transaction. As with database/sql, it is rolled back when ctx ends.
func Begin(ctx context.Context, db Beginner, o Options) (*Tx, error) {
	tx, err := db.BeginTx(ctx, o.TxOptions)
	if err != nil {
		return nil, fmt.Errorf("sqlcache: %w", err)
	}
	return &Tx{Tx: tx, changes: aftercommit.Changes{Options: o.Options}, options: o, ctx: ctx}, nil
}

// InTx runs f in a transaction, and commits it if f returns nil. If f returns an error, panics or ends its goroutine, InTx rolls the
// transaction back. InTx returns f's error, that of Begin, or that of [Tx.Commit].
func InTx(ctx context.Context, db Beginner, o Options, f func(*Tx) error) error {
	tx, err := Begin(ctx, db, o)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it fails if the transaction is over
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Delete deletes the keys from the cache when the transaction is committed.
func (tx *Tx) Delete(c aftercommit.Cache, keys ...string) { tx.changes.Delete(c, keys...) }

// InvalidateTags invalidates the tags in the cache when the transaction is committed.
func (tx *Tx) InvalidateTags(c aftercommit.Cache, tags ...string) {
	tx.changes.InvalidateTags(c, tags...)
}

// Commit holds what is to be invalidated, commits the transaction, and invalidates it. An error that wraps [aftercommit.ErrCommitted] says
// that the transaction was committed, one that wraps [aftercommit.ErrUnknown] that it may have been, and any other that it wasn't: then
// Commit has rolled it back.
func (tx *Tx) Commit() error {
	if err := tx.ctx.Err(); err != nil {
		_ = tx.Rollback()
		return fmt.Errorf("sqlcache: not committed: %w", err)
	}
	err := tx.changes.Commit(tx.ctx, func() error {
		err := tx.Tx.Commit()
		if err != nil && tx.options.RolledBack != nil && tx.options.RolledBack(err) {
			return aftercommit.RolledBack(err)
		}
		return err
	})
	if err == nil {
		return nil
	}
	_ = tx.Rollback() // it fails if the transaction is over
	return fmt.Errorf("sqlcache: %w", err)
}
