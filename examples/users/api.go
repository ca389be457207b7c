package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/tiered"
)

const maxProfile = 16 << 10 // bytes

// api has the HTTP handlers.
type api struct {
	db      *userdb.DB
	service *Service
	pages   *httpcache.Cache
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+listPath, a.list)
	mux.HandleFunc("GET "+listPath+"/{id}", a.user)
	mux.HandleFunc("PUT "+listPath+"/{id}", a.update)
	mux.HandleFunc("GET /stats", a.stats)
	return a.pages.Handler(mux) // around all methods: a PUT removes what it changes
}

// list runs only if the page isn't cached. It doesn't know of the cache around it.
func (a *api) list(w http.ResponseWriter, r *http.Request) {
	p, err := requestedPage(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	users, err := a.db.List(r.Context(), p)
	if err != nil {
		fail(w, r, err)
		return
	}
	keepable(w.Header(), listTag)
	answer(w, http.StatusOK, users)
}

func (a *api) user(w http.ResponseWriter, r *http.Request) {
	id, err := requestedID(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	u, err := a.service.User(r.Context(), id)
	if err != nil {
		fail(w, r, err)
		return
	}
	h := w.Header()
	keepable(h)
	h.Set("Vary", "Accept") // since the next line looks at it
	if strings.Contains(r.Header.Get("Accept"), cardType) {
		h.Set("Content-Type", cardType)
		write(w, http.StatusOK, card(u))
		return
	}
	answer(w, http.StatusOK, u)
}

func (a *api) update(w http.ResponseWriter, r *http.Request) {
	id, err := requestedID(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	p, err := sentProfile(w, r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	u, err := a.service.Update(r.Context(), id, p)
	if err != nil && u.ID == 0 {
		fail(w, r, err)
		return
	}
	if err != nil { // the user was saved, though Redis is down: the cached one expires soon
		slog.WarnContext(r.Context(), "invalidating", "error", err)
	}
	// The cache removes this URL's responses, since it was PUT, but not the pages of the list.
	if err := a.pages.PurgeTags(context.WithoutCancel(r.Context()), listTag); err != nil {
		slog.WarnContext(r.Context(), "invalidating the lists", "error", err)
	}
	answer(w, http.StatusOK, u)
}

func (a *api) stats(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"pages": a.pages.Stats(), "users": a.service.Stats()})
}

func requestedID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("the user's ID is %q: want a number from 1", r.PathValue("id"))
	}
	return id, nil
}

func sentProfile(w http.ResponseWriter, r *http.Request) (userdb.Profile, error) {
	var p userdb.Profile
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxProfile)).Decode(&p); err != nil {
		return p, fmt.Errorf("the body: %w", err)
	}
	return p, p.Validate()
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		slog.Error("encoding an answer", "error", err)
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, status, append(body, '\n')) // for terminals
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // it fails if the client has disconnected
}

// refuse reports an error in the request to the client.
func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}

// fail reports an error of the service, or that there is no such user.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, tiered.ErrNotFound) {
		refuse(w, http.StatusNotFound, errors.New("no such user"))
		return
	}
	if r.Context().Err() == nil { // otherwise the client has disconnected
		slog.ErrorContext(r.Context(), "answering", "path", r.URL.Path, "error", err)
	}
	refuse(w, http.StatusInternalServerError, errors.New("internal"))
}
