package main

import (
	"fmt"
	"io"
	"net"
	"strings"
)

const tour = `Listening on {url}. In another terminal:

  curl -i '{url}{list}?limit=3'
      the first time Cache-Status says "fwd=uri-miss; stored": SQLite answered.
      Again: "hit", with the seconds left as ttl. See Age and ETag.
  curl -i -H 'If-None-Match: <that ETag>' '{url}{list}?limit=3'
      304: no body at all.
  curl -i -H 'Cache-Control: no-cache' '{url}{list}?limit=3'
      "fwd=request; stored": SQLite answered again, and the new page is cached for everybody.
  curl -i {url}{list}/7
  curl -i -X PUT -d '{"name":"Grace","email":"grace@example.com","city":"Ghent"}' {url}{list}/7
      The next GET of user 7 shows it at once, and so do the pages of the list.
  curl {url}/stats
      Hits, misses and loads of both caches.

In a browser on this machine, {url}/debug/cache/ shows what the caches have, and why.

Ctrl-C stops.
`

// welcome prints some commands to try.
func welcome(out io.Writer, asked string, at net.Addr) {
	host, _, _ := net.SplitHostPort(asked)
	_, port, _ := net.SplitHostPort(at.String())
	if host == "" {
		host = "localhost"
	}
	fmt.Fprint(out, strings.NewReplacer("{url}", "http://"+net.JoinHostPort(host, port), "{list}", listPath).Replace(tour))
}
