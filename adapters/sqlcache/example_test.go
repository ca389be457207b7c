package sqlcache_test

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"time"

	"github.com/tiercache/tiercache/adapters/sqlcache"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/aftercommit"
)

type User struct{ Name string }

type Team struct{ Members int }

// A transaction that changes a row, and what is to be invalidated when it is committed.
func ExampleInTx() {
	rename := func(ctx context.Context, db *sql.DB, users *tiered.Cache[User], teams *tiered.Cache[Team]) error {
		return sqlcache.InTx(ctx, db, sqlcache.Options{}, func(tx *sqlcache.Tx) error {
			if _, err := tx.ExecContext(ctx, "UPDATE users SET name = $1 WHERE id = $2", "Ada", 7); err != nil {
				return err
			}
			tx.Delete(users, "7")
			tx.InvalidateTags(teams, "team:3")
			return nil
		})
	}
	_ = rename
}

// A program that commits by itself, and tells the three outcomes of a commit apart.
func ExampleBegin() {
	remove := func(ctx context.Context, db *sql.DB, users *tiered.Cache[User]) error {
		tx, err := sqlcache.Begin(ctx, db, sqlcache.Options{Options: aftercommit.Options{Hold: time.Minute}})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // it does nothing after Commit
		if _, err := tx.ExecContext(ctx, "DELETE FROM users WHERE id = $1", 7); err != nil {
			return err
		}
		tx.Delete(users, "7")
		err = tx.Commit()
		switch {
		case errors.Is(err, aftercommit.ErrCommitted):
			log.Print(err) // it was committed, and the rest of the invalidation is queued
			return nil
		case errors.Is(err, aftercommit.ErrUnknown):
			log.Print(err) // look in the database before it is repeated
		}
		return err
	}
	_ = remove
}
