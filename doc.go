// Package tiercache has no code: it is the root of a two-tier cache library. Package tiered is the cache itself, the
// process's memory first and Redis second; codec turns values into the bytes kept in Redis; keys builds cache keys that
// can't collide; adapters/httpcache caches the responses of net/http handlers, and adapters/fibercache, a module of its
// own, those of Fiber; tiercachetest helps to test programs that use a cache. The benchmarks beside this file compare the tiers
// with doing without them.
package tiercache
