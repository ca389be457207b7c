package inspect

import (
	"context"
	"net/http"

	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/inspection"
)

// Cache is what the pages need of a cache: a *tiered.Cache of any type and an *httpcache.Cache have these methods.
type Cache interface {
	Name() string
	Inspect(ctx context.Context, key string) (inspection.Key, error)
	InspectTag(ctx context.Context, tag string) (inspection.Tag, error)
	Keys(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error)
	Tags(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error)
	HotKeys(n int) []inspection.HotKey
	Events() []inspection.Event
	Servers() []inspection.Server
	TierStats() tiered.Stats
	Delete(ctx context.Context, keys ...string) error
	InvalidateTags(ctx context.Context, tags ...string) error
	Clear(ctx context.Context) error
}

// Options configures a handler. Caches is required.
type Options struct {
	// Caches are shown in this order. Each has a name of its own, because that is part of the URLs.
	Caches []Cache
	// Authorize decides on each request but those for the style sheet, before anything else is done with it. An error refuses the
	// request with the status 403; the page doesn't show the error, which may have details that the person mustn't know. nil: everybody
	// who reaches the handler may read, so mount it only where that is right.
	Authorize func(*http.Request) error
	// AllowWrites lets the pages delete values. It needs an Authorize. false: all requests that would change something are refused.
	AllowWrites bool
	// HideValues keeps the values of keys from being shown: only their type, size and metadata are. Keys and tags are shown all the
	// same. false: values are shown as JSON.
	HideValues bool
	// Title is the heading of all pages. "": "Caches".
	Title string
}
