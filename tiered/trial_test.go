package tiered_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// A codec that can't hold T, whatever the value, is an error of New if it is used. (See TestTrial.)
func TestCodecThatCannotHoldT(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialerRetries: 1, MaxRetries: -1})
	defer client.Close()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = tiered.New(tiered.Options[fmt.Stringer]{Name: "n", Redis: r, Codec: codec.Zstd(nil, 0)})
	if err == nil || !strings.HasPrefix(err.Error(), "tiered: Options.Codec is zstd(json), which can't hold fmt.Stringer: want a codec that can") {
		t.Errorf("%v", err)
	}
	newCache(t, tiered.Options[fmt.Stringer]{Codec: codec.JSON})
}

// nameless is a codec whose Name panics.
type nameless struct{ codec.Codec }

func TestCodecWithoutAName(t *testing.T) {
	_, err := tiered.New(tiered.Options[int]{Name: "n", Codec: nameless{}})
	var p *codec.PanicError
	if !errors.As(err, &p) || !strings.Contains(err.Error(), "Options.Codec is a tiered_test.nameless whose Name panics") {
		t.Errorf("%v", err)
	}
}
