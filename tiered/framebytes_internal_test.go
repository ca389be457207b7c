package tiered

import (
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// frameBytes returns the bytes of the frame with its payload.
func frameBytes(f *wire.Frame) []byte {
	b, _ := f.Encode(codec.Raw, f.Payload)
	return b
}
