package benchmarks_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// docacheReader is rueidis's client-side caching. It stores Redis's replies in the process, so that every hit decodes. Callers share
// reads, but not loads, which it doesn't support.
type docacheReader struct {
	rueidisReader
	localTTL time.Duration
}

func openDoCache(t testing.TB, s setting) reader {
	const room = 256 << 20 // for all replies, on each of its two connections
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.client.Options().Addr}, CacheSizeEachConn: room})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	r := &docacheReader{rueidisReader{c, s.source}, keep}
	if s.capacity == 0 {
		r.localTTL = time.Millisecond // shorter than the time until a key is read again
	}
	return r
}

func (r *docacheReader) read(ctx context.Context, key string) (*user, error) {
	data, err := r.client.DoCache(ctx, r.client.B().Get().Key("rueidis:"+key).Cache(), r.localTTL).AsBytes()
	return r.decodeOrLoad(ctx, key, data, err)
}

func (r *docacheReader) readMany(ctx context.Context, keys []string) (map[string]*user, error) {
	replies, err := rueidis.MGetCache(r.client, ctx, r.localTTL, rueidisKeys(keys))
	return decodeReplies(keys, replies, err)
}
