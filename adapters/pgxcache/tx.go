package pgxcache

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tiercache/tiercache/tiered/aftercommit"
)

// Options configures transactions. The zero Options is ready to use.
type Options struct {
	aftercommit.Options

	// TxOptions are those of BeginTx.
	TxOptions pgx.TxOptions
}

// Beginner begins transactions. *pgxpool.Pool, *pgxpool.Conn and *pgx.Conn do.
type Beginner interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}

// Tx is a transaction that invalidates caches when it is committed. Its method Begin makes a savepoint as usual: what is to be invalidated
// belongs to the whole transaction, and is invalidated also if it was added before a rollback to a savepoint. Its field Tx is for
// libraries that need a pgx.Tx, which must not commit it.
type Tx struct {
	pgx.Tx
	changes aftercommit.Changes
}

// Begin begins a transaction.
func Begin(ctx context.Context, db Beginner, o Options) (*Tx, error) {
	tx, err := db.BeginTx(ctx, o.TxOptions)
	if err != nil {
		return nil, fmt.Errorf("pgxcache: %w", err)
	}
	return &Tx{Tx: tx, changes: aftercommit.Changes{Options: o.Options}}, nil
}

// InTx runs f in a transaction, and commits it if f returns nil. If f returns an error, panics or ends its goroutine, InTx rolls the
// transaction back. InTx returns f's error, that of Begin, or that of [Tx.Commit].
func InTx(ctx context.Context, db Beginner, o Options, f func(*Tx) error) error {
	tx, err := Begin(ctx, db, o)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it fails if the transaction is over
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// Delete deletes the keys from the cache when the transaction is committed.
func (tx *Tx) Delete(c aftercommit.Cache, keys ...string) { tx.changes.Delete(c, keys...) }

// InvalidateTags invalidates the tags in the cache when the transaction is committed.
func (tx *Tx) InvalidateTags(c aftercommit.Cache, tags ...string) {
	tx.changes.InvalidateTags(c, tags...)
}

// Commit holds what is to be invalidated, commits the transaction, and invalidates it. An error that wraps [aftercommit.ErrCommitted] says
// that the transaction was committed, one that wraps [aftercommit.ErrUnknown] that it may have been, and any other that it wasn't: then
// Commit has rolled it back. If ctx ends during COMMIT, pgx closes the connection, and the outcome isn't known.
func (tx *Tx) Commit(ctx context.Context) error {
	err := tx.changes.Commit(ctx, func() error {
		err := tx.Tx.Commit(ctx)
		if RolledBack(err) {
			return aftercommit.RolledBack(err)
		}
		return err
	})
	if err == nil {
		return nil
	}
	_ = tx.Rollback(context.WithoutCancel(ctx)) // it fails if the transaction is over
	return fmt.Errorf("pgxcache: %w", err)
}
