// Package inspect serves pages on which a person sees what caches do: which keys there are, what the tiers have for each, why a read of it
// misses or is stale, how often each tier answers, and whether invalidations arrive. It can delete a key, a tag's values, or everything.
//
//	handler, err := inspect.New(inspect.Options{Caches: []inspect.Cache{users, pages}})
//	mux.Handle("/debug/cache/", http.StripPrefix("/debug/cache", handler))
//
// A [*tiered.Cache] of any type and an [*httpcache.Cache] are a [Cache]. The pages are made on the server by html/template, need no script
// and load nothing from elsewhere. They change nothing unless [Options].AllowWrites is set.
//
// The files, from the bottom up: options.go says what New takes; samples.go and chart.go have the ratios over time, value.go
// values as text; page.go makes a page of a template in pages/; pages.go and purge.go have what each page shows and deletes;
// handler.go has New, and what guards the pages.
package inspect
