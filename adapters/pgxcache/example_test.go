package pgxcache_test

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tiercache/tiercache/adapters/pgxcache"
	"github.com/tiercache/tiercache/tiered"
)

type User struct{ Name string }

func ExampleInTx() {
	rename := func(ctx context.Context, pool *pgxpool.Pool, users *tiered.Cache[User]) error {
		return pgxcache.InTx(ctx, pool, pgxcache.Options{}, func(tx *pgxcache.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE users SET name = $1 WHERE id = $2", "Ada", 7); err != nil {
				return err
			}
			tx.Delete(users, "7")
			return nil
		})
	}
	_ = rename
}
