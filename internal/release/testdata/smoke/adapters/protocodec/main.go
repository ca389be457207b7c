// A user of the codec for Protocol Buffers.
package main

import (
	"fmt"
	"log"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tiercache/tiercache/adapters/protocodec"
)

func main() {
	message := durationpb.New(7)
	data, err := protocodec.Proto.Marshal(&message)
	if err != nil {
		log.Fatal(err)
	}
	var back *durationpb.Duration
	if err := protocodec.Proto.Unmarshal(data, &back); err != nil || back.Nanos != 7 {
		log.Fatal(fmt.Errorf("%v became %v: %w", message, back, err))
	}
}
