package userdb

import (
	"fmt"
	"net/url"
	"strconv"
)

const (
	defaultLimit = 20
	maxLimit     = 20_000
)

// Page is a part of the list of users: Limit of them after the first Skip.
type Page struct{ Skip, Limit int }

// ParsePage parses the two query parameters of a request for the list. If they are empty the page is the first one,
// of 20 users. The error may be shown to the client.
func ParsePage(skip, limit string) (Page, error) {
	p := Page{Limit: defaultLimit}
	var err error
	if skip != "" {
		if p.Skip, err = strconv.Atoi(skip); err != nil || p.Skip < 0 {
			return Page{}, fmt.Errorf("skip is %q: want a number from 0", skip)
		}
	}
	if limit != "" {
		if p.Limit, err = strconv.Atoi(limit); err != nil || p.Limit < 1 || p.Limit > maxLimit {
			return Page{}, fmt.Errorf("limit is %q: want a number from 1 to %d", limit, maxLimit)
		}
	}
	return p, nil
}

// Query returns the page as a URL's query.
func (p Page) Query() string {
	return url.Values{"skip": {strconv.Itoa(p.Skip)}, "limit": {strconv.Itoa(p.Limit)}}.Encode()
}
