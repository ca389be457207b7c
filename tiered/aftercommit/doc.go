// Package aftercommit invalidates caches when a database transaction has been committed. It works with any database; the packages
// adapters/sqlcache and adapters/pgxcache apply it to database/sql and to pgx.
//
// [Changes] collects what a transaction changes: keys and tags of any caches. [Changes.Commit] holds them, calls the commit, and then
// deletes the keys, invalidates the tags, and ends the holds. A hold ([tiered.Cache.Hold]) keeps loads that read the old rows from
// being stored. So no step of a process that can end at any instant leaves an old value in Redis:
//
//	the process ends                 the caches
//	before the hold                  are as before, and so is the database, which rolls back
//	after the hold, before COMMIT    load these keys on each read, until the hold ends by itself
//	after COMMIT                     the same, and what they load is new
//	after the invalidation           have nothing older
//
// The hold must last longer than the database may take to finish a COMMIT whose client is gone.
package aftercommit
