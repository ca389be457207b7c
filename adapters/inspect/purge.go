package inspect

import (
	"context"
	"errors"
	"net/http"

	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/inspection"
)

// purging is what a form asks to delete.
type purging struct {
	What string // "key", "tag" or "all"
	Name string // the key or the tag
	Done bool
	Err  error // after Done: what failed

	Failed *inspection.Event // the last load of the key, if it failed
}

// asked returns what a request asks to delete, or false.
func asked(r *http.Request) (purging, bool) {
	p := purging{What: r.FormValue("what"), Name: r.FormValue("name")}
	return p, p.What == "all" || (p.What == "key" || p.What == "tag") && p.Name != ""
}

// Heading says what is deleted.
func (p purging) Heading(cache string) string {
	switch p.What {
	case "key":
		return "Delete the key " + shown(p.Name)
	case "tag":
		return "Delete all values with the tag " + shown(p.Name)
	}
	return "Delete everything in " + cache
}

// confirm asks whether something is to be deleted.
func (h *handler) confirm(w http.ResponseWriter, r *http.Request, o *observed) {
	h.writing(w, r, func(p purging) {
		if p.What == "key" {
			p.Failed = failedLoad(o, p.Name)
		}
		h.show(w, http.StatusOK, "purge.html", h.newPage(p.Heading(o.Name()), o, p))
	})
}

// failedLoad returns the last load of a key, if it was recorded and failed.
func failedLoad(o *observed, key string) *inspection.Event {
	for _, e := range o.Events() { // the newest first
		if e.Key == key && e.Kind != inspection.Missed {
			if e.Kind == inspection.Failed {
				return &e
			}
			break
		}
	}
	return nil
}

// purge deletes what the form asks for. The person may leave meanwhile: what was begun is finished.
func (h *handler) purge(w http.ResponseWriter, r *http.Request, o *observed) {
	h.writing(w, r, func(p purging) {
		ctx := context.WithoutCancel(r.Context())
		switch p.What {
		case "key":
			p.Err = o.Delete(ctx, p.Name)
		case "tag":
			p.Err = o.InvalidateTags(ctx, p.Name)
		default:
			p.Err = o.Clear(ctx)
		}
		p.Done = true
		status := http.StatusOK
		if p.Err != nil {
			status = http.StatusBadGateway
		}
		h.show(w, status, "purge.html", h.newPage(p.Heading(o.Name()), o, p))
	})
}

// Queued reports whether the deletion is made up for when Redis answers again.
func (p purging) Queued() bool { return errors.Is(p.Err, tiered.ErrQueued) }

// writing calls f with what is to be deleted, if anything may be.
func (h *handler) writing(w http.ResponseWriter, r *http.Request, f func(purging)) {
	if !h.options.AllowWrites {
		h.refuse(w, http.StatusForbidden, "These pages are read-only: Options.AllowWrites isn't set.")
		return
	}
	p, ok := asked(r)
	if !ok {
		h.refuse(w, http.StatusBadRequest, "It isn't clear what to delete.")
		return
	}
	f(p)
}
