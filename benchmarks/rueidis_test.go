package benchmarks_test

import (
	"context"
	"testing"

	"github.com/redis/rueidis"

	"github.com/tiercache/tiercache/codec"
)

// rueidisReader does what goRedisReader does, over one connection on which the commands of all callers are pipelined.
type rueidisReader struct {
	client rueidis.Client
	source *source
}

func openRueidis(t testing.TB, s setting) reader {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.client.Options().Addr}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &rueidisReader{client: c, source: s.source}
}

func (r *rueidisReader) read(ctx context.Context, key string) (*user, error) {
	data, err := r.client.Do(ctx, r.client.B().Get().Key("rueidis:"+key).Build()).AsBytes()
	return r.decodeOrLoad(ctx, key, data, err)
}

// decodeOrLoad decodes the user in Redis's reply to a GET, or loads the user if there is none.
func (r *rueidisReader) decodeOrLoad(ctx context.Context, key string, data []byte, err error) (*user, error) {
	if err == nil {
		u := new(user)
		return u, codec.Msgpack.Unmarshal(data, u)
	}
	if !rueidis.IsRedisNil(err) {
		return nil, err
	}
	u, err := r.source.load(ctx, key)
	if err != nil {
		return nil, err
	}
	if data, err = codec.Msgpack.Marshal(u); err != nil {
		return nil, err
	}
	return u, r.client.Do(ctx, r.client.B().Set().Key("rueidis:"+key).Value(rueidis.BinaryString(data)).Ex(keep).Build()).Error()
}

func (r *rueidisReader) readMany(ctx context.Context, keys []string) (map[string]*user, error) {
	replies, err := rueidis.MGet(r.client, ctx, rueidisKeys(keys))
	return decodeReplies(keys, replies, err)
}

func rueidisKeys(keys []string) []string {
	named := make([]string, len(keys))
	for i, key := range keys {
		named[i] = "rueidis:" + key
	}
	return named
}

func decodeReplies(keys []string, replies map[string]rueidis.RedisMessage, err error) (map[string]*user, error) {
	if err != nil {
		return nil, err
	}
	us := make(map[string]*user, len(keys))
	for _, key := range keys {
		reply := replies["rueidis:"+key]
		data, err := reply.AsBytes()
		if err != nil {
			return nil, err
		}
		u := new(user)
		if err := codec.Msgpack.Unmarshal(data, u); err != nil {
			return nil, err
		}
		us[key] = u
	}
	return us, nil
}
