package fasthttpcache_test

import (
	"fmt"
	"log"
	"runtime/debug"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fasthttpcache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func Example() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	server := &fasthttp.Server{}
	server.Handler = fasthttpcache.New(cache, server)(func(ctx *fasthttp.RequestCtx) {
		fmt.Println("(the handler runs)")
		fmt.Fprint(ctx, "alice, bob")
	})

	for range 3 { // in place of requests over the network, to which server.ListenAndServe listens
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI("/users")
		ctx.Request.Header.SetHost("localhost")
		server.Handler(&ctx)
		fmt.Println(string(ctx.Response.Body()))
	}
	// Output:
	// (the handler runs)
	// alice, bob
	// alice, bob
	// alice, bob
}
