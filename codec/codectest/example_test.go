package codectest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/codec/codectest"
)

type point struct{ X, Y int64 }

// points is a codec for caches of point.
type points struct{}

func (points) Name() string { return "point" }

func (points) Marshal(v any) ([]byte, error) {
	p, ok := v.(*point)
	if !ok {
		return nil, &codec.TypeError{Codec: "point", Type: reflect.TypeOf(v), Err: errors.New("it isn't a point")}
	}
	return binary.Append(nil, binary.BigEndian, p)
}

func (points) Unmarshal(data []byte, v any) error {
	n, err := binary.Decode(data, binary.BigEndian, v)
	if err == nil && n < len(data) {
		err = fmt.Errorf("points: %d bytes behind a point", len(data)-n)
	}
	return err
}

func TestPoints(t *testing.T) {
	codectest.Run(t, points{}, codectest.Options[point]{Values: []point{{}, {X: 1, Y: -2}}})
}

// The example is the file that contains it: a codec, and the test of it.
func ExampleRun() {}
