package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

var codecs = []codec.Codec{codec.JSON, codec.Msgpack}

// newRedis sets a long timeout, so that a busy machine isn't mistaken for a slow Redis.
func newRedis(b *testing.B, client redis.UniversalClient) *tiered.Redis {
	b.Helper()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	})
	return r
}

// briefly is a LocalTTL that ends before everyUser returns to a user. The local tier is still filled on each
// read, as in a service.
const briefly = time.Millisecond

// redisUsers stores every user in Redis, bare for go-redis and framed for the cache it returns, which reads Redis each
// time.
func redisUsers(b *testing.B, client *redis.Client, cd codec.Codec) *tiered.Cache[*user] {
	b.Helper()
	ctx := b.Context()
	values := make(map[string]*user, population)
	_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for id, key := range userKeys {
			values[key] = newUser(id)
			data, err := cd.Marshal(values[key])
			if err != nil {
				return err
			}
			pipe.Set(ctx, bareKey(cd, key), data, time.Hour)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	c := newCache(b, tiered.Options[*user]{
		Name:   cd.Name(),
		Redis:  newRedis(b, client),
		Codec:  cd,
		Policy: tiered.Policy{LocalTTL: briefly},
	})
	if err := c.SetMany(ctx, values); err != nil {
		b.Fatal(err)
	}
	time.Sleep(2 * briefly) // what SetMany put into the local tier runs out
	return c
}

// bareKey is as long as the cache's own key in Redis.
func bareKey(cd codec.Codec, key string) string { return "go:" + cd.Name() + ":" + key }

// onlyRemoteHits fails the benchmark unless f read n keys from Redis.
func onlyRemoteHits(b *testing.B, c *tiered.Cache[*user], f func() (n int)) {
	b.Helper()
	before := c.Stats()
	n := f()
	after := c.Stats()
	if got := after.RemoteHits - before.RemoteHits; got != uint64(n) || after.Loads != before.Loads {
		b.Errorf("%d reads were %d hits in Redis: %+v, and before %+v", n, got, after, before)
	}
}

// together shares one order among all goroutines, so that no two read the same user at once.
func (o order) together(b *testing.B, read reader) {
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := read(o[int(next.Add(1))%len(o)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRedisHit reads a user that only Redis has. "byhand" keeps what it reads in ristretto, as tiercache does.
func BenchmarkRedisHit(b *testing.B) {
	client := redistest.Start(b).Client(b)
	ctx := b.Context()
	load := tiered.Loader[*user](loadUser)
	users := everyUser()
	for _, cd := range codecs {
		cache := redisUsers(b, client, cd)
		var gets atomic.Int64
		get := getUser(ctx, client, cd)
		readFloor := func(id int) (*user, error) {
			gets.Add(1)
			return get(id)
		}
		onlyGets := func(b *testing.B, f func() int) {
			before := gets.Load()
			if n := f(); gets.Load()-before != int64(n) {
				b.Errorf("%d reads were %d GETs", n, gets.Load()-before)
			}
		}
		impls := []struct {
			name string
			read reader
			only func(*testing.B, func() int)
		}{
			{"go-redis", readFloor, onlyGets},
			{"byhand", tieredByHand(b, readFloor), onlyGets},
			{"tiercache", func(id int) (*user, error) { return cache.GetOrLoad(ctx, userKeys[id], load) },
				func(b *testing.B, f func() int) { onlyRemoteHits(b, cache, f) }},
		}
		for _, impl := range impls {
			check(b, impl.read)
		}
		for _, n := range []int{1, 64, 512} {
			for _, impl := range impls {
				b.Run(fmt.Sprintf("codec=%s/callers=%d/impl=%s", cd.Name(), n, impl.name), func(b *testing.B) {
					impl.only(b, func() int {
						if n == 1 {
							users.serial(b, impl.read)
						} else {
							callers(b, n)
							users.together(b, impl.read)
						}
						return b.N
					})
				})
			}
		}
	}
}

// tieredByHand is code without a library: ristretto in front, and a singleflight against stampedes.
func tieredByHand(b *testing.B, read reader) reader {
	c := newRistretto(b, 10*population)
	var flights singleflight.Group
	return func(id int) (*user, error) {
		key := userKeys[id]
		if u, ok := c.Get(key); ok {
			return u, nil
		}
		v, err, _ := flights.Do(key, func() (any, error) {
			u, err := read(id)
			if err == nil {
				c.SetWithTTL(key, u, 1, briefly)
			}
			return u, err
		})
		if err != nil {
			return nil, err
		}
		return v.(*user), nil
	}
}

const batchSize = 100

// batches runs read over 100 users at a time.
func batches(b *testing.B, read func(ids []int) (map[int]*user, error)) {
	batchesOf(b, batchSize, read)
}

// batchesOf runs read over so many users at a time. None is in a local tier any more when it is read again.
func batchesOf(b *testing.B, size int, read func(ids []int) (map[int]*user, error)) {
	users := everyUser()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ids := users[i : i+size]
		us, err := read(ids)
		if err != nil || len(us) != size || us[ids[0]] == nil || us[ids[0]].ID != ids[0] {
			b.Fatalf("%d users, first %d: got %d, %v", size, ids[0], len(us), err)
		}
		if i = (i + size) % population; size == population {
			b.StopTimer()
			time.Sleep(2 * briefly)
			b.StartTimer()
		}
	}
}

func keyOf(id int) string { return userKeys[id] }

func loadUsers(_ context.Context, ids []int) (map[int]*user, error) {
	us := make(map[int]*user, len(ids))
	for _, id := range ids {
		us[id] = newUser(id)
	}
	return us, nil
}

// BenchmarkManyLocal reads 100 users that the local tier has, one by one or at once.
func BenchmarkManyLocal(b *testing.B) {
	cache, read := warmCache(b)
	b.Run("impl=GetOrLoad", func(b *testing.B) {
		onlyLocalHits(b, cache, func() {
			batches(b, func(ids []int) (map[int]*user, error) {
				us := make(map[int]*user, len(ids))
				for _, id := range ids {
					u, err := read(id)
					if err != nil {
						return nil, err
					}
					us[id] = u
				}
				return us, nil
			})
		})
	})
	b.Run("impl=GetOrLoadMany", func(b *testing.B) {
		ctx := b.Context()
		onlyLocalHits(b, cache, func() {
			batches(b, func(ids []int) (map[int]*user, error) {
				return tiered.GetOrLoadMany(ctx, cache, ids, keyOf, loadUsers)
			})
		})
	})
}

// BenchmarkManyRedis reads 100 or 10,000 users that only Redis has. "byhand" looks into ristretto first and keeps there what it reads,
// as tiercache does; "mget" and "pipeline" keep nothing.
func BenchmarkManyRedis(b *testing.B) {
	client := redistest.Start(b).Client(b)
	ctx := b.Context()
	for _, cd := range codecs {
		cache := redisUsers(b, client, cd)
		mget := mgetUsers(ctx, client, cd)
		for _, size := range []int{batchSize, population} {
			at := fmt.Sprintf("codec=%s/users=%d", cd.Name(), size)
			b.Run(at+"/impl=mget", func(b *testing.B) { batchesOf(b, size, mget) })
			b.Run(at+"/impl=byhand", func(b *testing.B) { batchesOf(b, size, manyByHand(b, mget)) })
			b.Run(at+"/impl=pipeline", func(b *testing.B) { batchesOf(b, size, pipelinedUsers(ctx, client, cd)) })
			b.Run(at+"/impl=tiercache", func(b *testing.B) {
				onlyRemoteHits(b, cache, func() int {
					batchesOf(b, size, func(ids []int) (map[int]*user, error) {
						return tiered.GetOrLoadMany(ctx, cache, ids, keyOf, loadUsers)
					})
					return size * b.N
				})
			})
		}
	}
}

// pipelinedUsers reads users with a pipeline of GETs.
func pipelinedUsers(ctx context.Context, client *redis.Client, cd codec.Codec) func(ids []int) (map[int]*user, error) {
	return func(ids []int) (map[int]*user, error) {
		replies := make([]*redis.StringCmd, len(ids))
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, id := range ids {
				replies[i] = pipe.Get(ctx, bareKey(cd, userKeys[id]))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return decodeAll(cd, ids, func(i int) ([]byte, error) { return replies[i].Bytes() })
	}
}

// getUser reads a user with a GET.
func getUser(ctx context.Context, client *redis.Client, cd codec.Codec) reader {
	keys := make([]string, population)
	for id, key := range userKeys {
		keys[id] = bareKey(cd, key)
	}
	return func(id int) (*user, error) {
		data, err := client.Get(ctx, keys[id]).Bytes()
		if err != nil {
			return nil, err
		}
		u := new(user)
		return u, cd.Unmarshal(data, u)
	}
}

// mgetUsers reads users with one MGET.
func mgetUsers(ctx context.Context, client *redis.Client, cd codec.Codec) func(ids []int) (map[int]*user, error) {
	return func(ids []int) (map[int]*user, error) {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = bareKey(cd, userKeys[id])
		}
		replies, err := client.MGet(ctx, keys...).Result()
		if err != nil {
			return nil, err
		}
		return decodeAll(cd, ids, func(i int) ([]byte, error) {
			s, ok := replies[i].(string)
			if !ok {
				return nil, errMissing
			}
			return []byte(s), nil
		})
	}
}

// BenchmarkRedisFloor is the lower bound for many callers: the time per user if four goroutines that do nothing else read
// 100 at a time, and with "byhand" keep them in ristretto. "go-redis" is BenchmarkRedisHit's, with 512 callers.
func BenchmarkRedisFloor(b *testing.B) {
	client := redistest.Start(b).Client(b)
	ctx := b.Context()
	for _, cd := range codecs {
		redisUsers(b, client, cd)
		at := "codec=" + cd.Name()
		get := getUser(ctx, client, cd)
		b.Run(at+"/impl=go-redis", func(b *testing.B) {
			callers(b, 512)
			everyUser().together(b, get)
		})
		mget := mgetUsers(ctx, client, cd)
		b.Run(at+"/impl=mget", func(b *testing.B) { inBatches(b, mget) })
		b.Run(at+"/impl=byhand", func(b *testing.B) { inBatches(b, manyByHand(b, mget)) })
	}
}

// inBatches reads users 100 at a time, in one order, from four goroutines.
func inBatches(b *testing.B, read func(ids []int) (map[int]*user, error)) {
	users := everyUser()
	callers(b, 4)
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			from := (int(next.Add(batchSize)) - batchSize) % population
			if us, err := read(users[from : from+batchSize]); err != nil || len(us) != batchSize {
				b.Errorf("got %d users, %v", len(us), err)
				return
			}
			for range batchSize - 1 {
				if !pb.Next() {
					return
				}
			}
		}
	})
}

// manyByHand is tieredByHand for many users. Nothing keeps two of its callers from reading the same.
func manyByHand(b *testing.B, read func(ids []int) (map[int]*user, error)) func(ids []int) (map[int]*user, error) {
	c := newRistretto(b, 10*population)
	return func(ids []int) (map[int]*user, error) {
		us := make(map[int]*user, len(ids))
		missing := make([]int, 0, len(ids))
		for _, id := range ids {
			if u, ok := c.Get(userKeys[id]); ok {
				us[id] = u
			} else {
				missing = append(missing, id)
			}
		}
		if len(missing) == 0 {
			return us, nil
		}
		found, err := read(missing)
		for id, u := range found {
			c.SetWithTTL(userKeys[id], u, 1, briefly)
			us[id] = u
		}
		return us, err
	}
}

var errMissing = errors.New("the user isn't there")

func decodeAll(cd codec.Codec, ids []int, reply func(i int) ([]byte, error)) (map[int]*user, error) {
	us := make(map[int]*user, len(ids))
	for i, id := range ids {
		data, err := reply(i)
		if err != nil {
			return nil, err
		}
		u := new(user)
		if err := cd.Unmarshal(data, u); err != nil {
			return nil, err
		}
		us[id] = u
	}
	return us, nil
}
