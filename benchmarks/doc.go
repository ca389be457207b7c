// Package benchmarks compares tiercache with other libraries that do the same work: reads from the
// process's memory (local_test.go) and from Redis (redis_test.go), many callers of one cold key (stampede_test.go), reads
// of a cache that is too small for all keys (hitratio_test.go), and the memory that entries take (memory_test.go).
// Each peer has a file of its own, which says how it is set up. codec_test.go compares codec.JSON with libraries that are
// meant to replace encoding/json.
//
// Every peer stores *user values under string keys for an hour and reads through: missing values are loaded from the same source.
// The caches have room for all keys, except in hitratio_test.go. Values in Redis are encoded by codec.Msgpack for all of them.
//
// growth_test.go measures how tiercache's own costs grow, package scale what it costs Redis that many processes learn of changes, and the
// program in plot draws both. Package budget divides the time of a read among the parts of its path.
package benchmarks
