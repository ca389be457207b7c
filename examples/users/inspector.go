package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/adapters/inspect"
)

// inspectorPath is where the pages are that show the caches.
const inspectorPath = "/debug/cache"

// newInspector makes pages on which a person sees what both caches have, and may delete it.
func newInspector(service *Service, pages *httpcache.Cache) (http.Handler, error) {
	h, err := inspect.New(inspect.Options{
		Title:       "Caches of users",
		Caches:      []inspect.Cache{service.cache, pages},
		AllowWrites: true,
		Authorize:   fromHere,
	})
	return http.StripPrefix(inspectorPath, h), err
}

var errNotFromHere = errors.New("only for people at this machine")

// fromHere allows requests that come from this machine and address it as such. The Host counts too: a page of another site, whose name
// resolves to this machine, would otherwise be of the same origin as the inspector's. A service behind a proxy, from which all
// requests come, has to ask who the person is instead.
func fromHere(r *http.Request) error {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return fmt.Errorf("the client's address: %w", err)
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	named, err := netip.ParseAddr(host)
	if !from.Addr().Unmap().IsLoopback() || host != "localhost" && (err != nil || !named.IsLoopback()) {
		return errNotFromHere
	}
	return nil
}
