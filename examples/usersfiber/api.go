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

// api is the HTTP face of the users.
type api struct {
	db    *userdb.DB
	pages *httpcache.Cache
}

// newPages makes the cache of whole HTTP responses: pages of the list, and single users. How long it keeps them, the
// responses say: see keepable.
func newPages(redis *tiered.Redis) (*httpcache.Cache, error) {
	return httpcache.New(httpcache.Options{
		Name:  "usersfiber-pages",
		Redis: redis,
		Key:   keys.Request, // without the host: it answers the same under every name
	})
}

// newApp is what there is to it: the cache goes before the handlers, of all methods, so that it sees the PUTs, too.
func newApp(db *userdb.DB, pages *httpcache.Cache) *fiber.App {
	a := &api{db: db, pages: pages}
	app := fiber.New(fiber.Config{BodyLimit: maxProfile})
	app.Use(fibercache.New(pages))
	app.Get(listPath, a.list)
	app.Get(listPath+"/:id", a.user)
	app.Put(listPath+"/:id", a.update)
	return app
}

// list knows nothing of the cache around it: it runs when a page isn't cached.
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
	return c.Format( // which sets Vary, by which the cache is told what the client's Accept decides
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
	// What is cached of this URL goes by itself, since it was PUT. The lists don't. A Redis that is down doesn't keep
	// anybody from saving: what is cached expires soon.
	if err := a.pages.PurgeTags(context.WithoutCancel(c.Context()), listTag); err != nil {
		slog.WarnContext(c.Context(), "invalidating the lists", "error", err)
	}
	return c.JSON(u)
}

// keepable says that this service's cache may keep the response for a minute, and serve it for half a minute more while
// it gets a new one; and that browsers may keep it if they ask each time whether it still holds. They are told so by the
// cache, with a 304, which makes the ETag for that.
func keepable(c fiber.Ctx) {
	c.Set("Cache-Control", "no-cache")
	c.Set("CDN-Cache-Control", "max-age=60, stale-while-revalidate=30") // RFC 9213: goes before it here
}

func requestedID(c fiber.Ctx) (int64, error) {
	id, err := strconv.ParseInt(c.Params("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("the user's ID is %q: want a number from 1", c.Params("id"))
	}
	return id, nil
}

// refuse tells the client what is wrong with the request.
func refuse(c fiber.Ctx, status int, err error) error {
	return c.Status(status).JSON(fiber.Map{"error": err.Error()})
}

// fail is for errors that aren't the client's, except that there may be no such user.
func fail(c fiber.Ctx, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return refuse(c, http.StatusNotFound, errors.New("no such user"))
	}
	slog.ErrorContext(c.Context(), "answering", "path", c.Path(), "error", err)
	return refuse(c, http.StatusInternalServerError, errors.New("internal"))
}
