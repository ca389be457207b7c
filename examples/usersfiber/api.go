package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

const (
	listPath   = "/api/v1/users"
	listTag    = "users"  // of all pages of the list
	maxProfile = 16 << 10 // bytes
)

// api has the HTTP handlers.
type api struct {
	db    *userdb.DB
	pages *httpcache.Cache
}

// newPages makes the cache of whole HTTP responses: pages of the list, and single users. The responses say how long they may be
// cached: see keepable.
func newPages(redis *tiered.Redis) (*httpcache.Cache, error) {
	return httpcache.New(httpcache.Options{
		Name:  "usersfiber-pages",
		Redis: redis,
		Key:   keys.Request, // without the host: the responses are the same under every name
	})
}

// newApp mounts the cache in front of the handlers of all methods: a PUT removes what it changes.
func newApp(db *userdb.DB, pages *httpcache.Cache) *fiber.App {
	a := &api{db: db, pages: pages}
	app := fiber.New(fiber.Config{BodyLimit: maxProfile})
	app.Use(fibercache.New(pages))
	app.Get(listPath, a.list)
	app.Get(listPath+"/:id", a.user)
	app.Put(listPath+"/:id", a.update)
	return app
}

// list runs only if the page isn't cached. It doesn't know of the cache around it.
func (a *api) list(c fiber.Ctx) error {
	p, err := userdb.ParsePage(c.Query("skip"), c.Query("limit"))
	if err != nil {
		return refuse(c, http.StatusBadRequest, err)
	}
	users, err := a.db.List(c.Context(), p)
	if err != nil {
		return fail(c, err)
	}
	keepable(c)
	c.Set("Cache-Tag", listTag)
	return c.JSON(users)
}

func (a *api) user(c fiber.Ctx) error {
	id, err := requestedID(c)
	if err != nil {
		return refuse(c, http.StatusBadRequest, err)
	}
	u, err := a.db.Get(c.Context(), id)
	if err != nil {
		return fail(c, err)
	}
	keepable(c)
	return c.Format( // it sets Vary: Accept, so that the cache keeps the formats apart
		fiber.ResFmt{MediaType: fiber.MIMEApplicationJSON, Handler: func(c fiber.Ctx) error { return c.JSON(u) }},
		fiber.ResFmt{MediaType: fiber.MIMEApplicationXML, Handler: func(c fiber.Ctx) error { return c.XML(u) }},
	)
}

func (a *api) update(c fiber.Ctx) error {
	id, err := requestedID(c)
	if err != nil {
		return refuse(c, http.StatusBadRequest, err)
	}
	var p userdb.Profile
	if err := json.Unmarshal(c.Body(), &p); err != nil {
		return refuse(c, http.StatusBadRequest, fmt.Errorf("the body: %w", err))
	}
	if err := p.Validate(); err != nil {
		return refuse(c, http.StatusBadRequest, err)
	}
	u, err := a.db.Update(c.Context(), id, p)
	if err != nil {
		return fail(c, err)
	}
	// The cache removes this URL's responses, since it was PUT, but not the pages of the list. If Redis is down, the user is saved
	// all the same, and the cached pages expire soon.
	if err := a.pages.PurgeTags(context.WithoutCancel(c.Context()), listTag); err != nil {
		slog.WarnContext(c.Context(), "invalidating the lists", "error", err)
	}
	return c.JSON(u)
}

// keepable lets this service's cache store the response for a minute, and serve it for half a minute more while it is
// renewed. Browsers may store it, too, but must validate it each time: the cache adds an ETag, and answers with a 304.
func keepable(c fiber.Ctx) {
	c.Set("Cache-Control", "no-cache")
	c.Set("CDN-Cache-Control", "max-age=60, stale-while-revalidate=30") // RFC 9213: it replaces Cache-Control for this cache
}

func requestedID(c fiber.Ctx) (int64, error) {
	id, err := strconv.ParseInt(c.Params("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("the user's ID is %q: want a number from 1", c.Params("id"))
	}
	return id, nil
}

// refuse reports an error in the request to the client.
func refuse(c fiber.Ctx, status int, err error) error {
	return c.Status(status).JSON(fiber.Map{"error": err.Error()})
}

// fail reports an error of the service, or that there is no such user.
func fail(c fiber.Ctx, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return refuse(c, http.StatusNotFound, errors.New("no such user"))
	}
	slog.ErrorContext(c.Context(), "answering", "path", c.Path(), "error", err)
	return refuse(c, http.StatusInternalServerError, errors.New("internal"))
}
