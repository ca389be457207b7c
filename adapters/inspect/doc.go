// Package inspect serves pages on which a person sees what caches do: which keys there are, what the tiers have for each, why a read of it
// misses or is stale, how often each tier answers, and whether invalidations arrive. It can delete a key, a tag's values, or everything.
//
//	handler, err := inspect.New(inspect.Options{Caches: []inspect.Cache{users, pages}})
//	mux.Handle("/debug/cache/", http.StripPrefix("/debug/cache", handler))
//
// A [*tiered.Cache] of any type and an [*httpcache.Cache] are a [Cache]. The pages are made on the server by html/template, need no script
// and load nothing from elsewhere. They change nothing unless [Options].AllowWrites is set.
//
// The files: options.go has New and what it takes, handler.go the routes and what guards them, pages.go and keypage.go what the pages show,
// purge.go the deletions, samples.go the ratios over time and chart.go their picture, value.go values as text. pages/ has the templates.
//
// [*tiered.Cache]: https://pkg.go.dev/github.com/tiercache/tiercache/tiered#Cache
// [*httpcache.Cache]: https://pkg.go.dev/github.com/tiercache/tiercache/adapters/httpcache#Cache
package inspect
