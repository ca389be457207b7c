// A user of the adapter for fasthttp: one cached page.
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fasthttpcache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func main() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	runs := 0
	handler := fasthttpcache.New(cache, nil)(func(ctx *fasthttp.RequestCtx) {
		runs++
		fmt.Fprint(ctx, "page ", runs)
	})
	for range 2 {
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI("/")
		ctx.Request.Header.SetHost("a.example")
		if handler(&ctx); string(ctx.Response.Body()) != "page 1" {
			panic(string(ctx.Response.Body()))
		}
	}
}
