// A user of the adapters for transactions: a database that isn't there.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5"

	"github.com/tiercache/tiercache/adapters/pgxcache"
	"github.com/tiercache/tiercache/adapters/sqlcache"
	"github.com/tiercache/tiercache/tiered"
)

// away is in place of a pool, whose package needs modules that pgxcache doesn't.
type away struct{}

func (away) BeginTx(context.Context, pgx.TxOptions) (pgx.Tx, error) {
	return nil, errors.New("there is no database")
}

func main() {
	if err := transact(); err != nil {
		log.Fatal(err)
	}
}

func transact() error {
	users, err := tiered.New(tiered.Options[string]{Name: "users"})
	if err != nil {
		return err
	}
	defer users.Close()
	err = pgxcache.InTx(context.Background(), away{}, pgxcache.Options{}, func(tx *pgxcache.Tx) error {
		tx.Delete(users, "42")
		return nil
	})
	if err == nil || !pgxcache.RolledBack(pgx.ErrTxCommitRollback) || pgxcache.RolledBack(errors.New("lost")) {
		return fmt.Errorf("a database that isn't there has committed: %w", err)
	}
	_ = sqlcache.Options{RolledBack: pgxcache.RolledBack}
	return nil
}
