// A user of the adapters for transactions: a database that isn't there.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tiercache/tiercache/adapters/pgxcache"
	"github.com/tiercache/tiercache/adapters/sqlcache"
	"github.com/tiercache/tiercache/tiered"
)

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
	pool, err := pgxpool.New(context.Background(), "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		return err
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err = pgxcache.InTx(ctx, pool, pgxcache.Options{}, func(tx *pgxcache.Tx) error {
		tx.Delete(users, "42")
		return nil
	})
	if err == nil || !pgxcache.RolledBack(pgx.ErrTxCommitRollback) || pgxcache.RolledBack(errors.New("lost")) {
		return fmt.Errorf("a database that isn't there has committed: %w", err)
	}
	_ = sqlcache.Options{RolledBack: pgxcache.RolledBack}
	return nil
}
