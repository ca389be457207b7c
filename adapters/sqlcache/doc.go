// Package sqlcache invalidates caches when a transaction of database/sql has been committed.
//
// [InTx] runs a function in a transaction. What the function passes to [Tx.Delete] and [Tx.InvalidateTags] is held from before COMMIT to
// the invalidation after it, so that no load that reads the old rows is stored meanwhile, or later if the process ends in between:
// package [github.com/tiercache/tiercache/tiered/aftercommit] says how. [Begin] is for programs that commit by themselves.
//
// Its tests, with a real PostgreSQL, are those of adapters/pgxcache, which is the same for pgx and has a driver.
package sqlcache
