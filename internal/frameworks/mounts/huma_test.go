package mounts_test

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-chi/chi/v5"
)

// humaPages registers the application's pages as operations. unwrap is that of the router's adapter.
func humaPages(api huma.API, a *app, unwrap func(huma.Context) (*http.Request, http.ResponseWriter)) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		huma.Register(api, huma.Operation{OperationID: "page-" + method, Method: method, Path: "/{kind}/{id}", SkipValidateBody: true},
			func(_ context.Context, in *struct {
				Kind string `path:"kind"`
				ID   string `path:"id"`
			}) (*huma.StreamResponse, error) {
				return &huma.StreamResponse{Body: func(c huma.Context) {
					r, w := unwrap(c)
					a.serve(w, r, in.Kind, in.ID)
				}}, nil
			})
	}
}

func humaConfig() huma.Config {
	c := huma.DefaultConfig("pages", "1.0.0")
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	return c
}

// humaOnMux returns the application on net/http's router.
func humaOnMux(a *app) http.Handler {
	m := http.NewServeMux()
	humaPages(humago.New(m, humaConfig()), a, humago.Unwrap)
	return m
}

func humaOnChi(r chi.Router, a *app) {
	humaPages(humachi.New(r, humaConfig()), a, humachi.Unwrap)
}

var humaMountings = []mounting{
	{"huma on ServeMux", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		return wrap(humaOnMux(a), s.layers())
	})},
	{"huma on chi", "global", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := chi.NewRouter()
		r.Use(chiLayers(s)...)
		humaOnChi(r, a)
		return r
	})},
	{"huma on chi", "group", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		r := chi.NewRouter()
		r.Group(func(r chi.Router) {
			r.Use(chiLayers(s)...)
			humaOnChi(r, a)
		})
		return r
	})},
}
