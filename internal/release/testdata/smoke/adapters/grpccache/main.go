// A user of the adapter for gRPC: a server whose methods without side effects are cached.
package main

import (
	"fmt"
	"log"

	"google.golang.org/grpc"

	"github.com/tiercache/tiercache/adapters/grpccache"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	cache, err := tiered.New(tiered.Options[[]byte]{Name: "grpc", Codec: codec.Raw})
	if err != nil {
		return err
	}
	defer cache.Close()
	if _, err := grpccache.New(cache, grpccache.Options{Vary: []string{"Accept"}}); err == nil {
		return fmt.Errorf("a name in upper case is accepted")
	}
	responses, err := grpccache.New(cache, grpccache.Options{})
	if err != nil {
		return err
	}
	grpc.NewServer(grpc.ChainUnaryInterceptor(responses.UnaryServer)).Stop()
	return nil
}
