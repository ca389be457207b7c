// Package benchmarks does the same work with tiercache and with other libraries, side by side: reads answered from the
// process's memory (local_test.go) and from Redis (redis_test.go), many callers of one cold key (stampede_test.go), reads
// of a cache that hasn't room for all (hitratio_test.go), and the memory that entries take (memory_test.go).
// Each peer has a file of its own, which says how it is set up. codec_test.go holds codec.JSON against libraries that are made
// to take encoding/json's place.
//
// Every peer keeps *user values under string keys for an hour, but in hitratio_test.go with room for all, and reads
// through: what isn't there is loaded from the same source. What goes through Redis is encoded by codec.Msgpack for all of them.
//
// How tiercache's own costs grow is measured by growth_test.go, and drawn by the program in plot.
package benchmarks
