package mounts_test

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

type byID struct {
	ID string `path:"id"`
}

type humaUser struct {
	CacheControl string `header:"Cache-Control"`
	Body         []byte
}

func getHumaUser(context.Context, *byID) (*humaUser, error) {
	return &humaUser{CacheControl: "max-age=60", Body: []byte(long)}, nil
}

func mountInHuma(cache *httpcache.Cache, get func(context.Context, *byID) (*humaUser, error)) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer, cache.Handler)
	api := humachi.New(r, huma.DefaultConfig("Users", "1.0.0"))
	huma.Get(api, "/users/{id}", get) // its output has a field with the tag header:"Cache-Control"
	return r
}
