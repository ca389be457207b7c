package fasthttpcache

import (
	"reflect"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// madeHeader is the header of a reply, to be copied as a whole for others with the same fields: that is faster than setting field by field.
type madeHeader struct {
	header fasthttp.ResponseHeader

	// It fits a header that was the same before:
	server  *fasthttp.Server // its settings
	name    string           // the Server field that it had set
	spelled bool             // names aren't made canonical
}

// setReply sets a response's status and fields. If nothing else was set, the header is that of an earlier reply.
func setReply(out *fasthttp.ResponseHeader, reply *httpcache.Reply, server *fasthttp.Server) {
	out.SetStatusCode(reply.Status)
	out.SetNoDefaultContentType(true) // the stored response may have none
	place := reply.Made()
	if place == nil || spelling == nil || !untouched(out) {
		setFields(out, reply, server.NoDefaultDate)
		return
	}
	if kept := place.Load(); kept != nil {
		if m, ok := (*kept).(*madeHeader); ok && m.server == server && m.name == viewString(out.Server()) && m.spelled == spelled(out) {
			m.header.CopyTo(out)
		} else {
			setFields(out, reply, server.NoDefaultDate)
		}
		return
	}
	m := &madeHeader{server: server, name: string(out.Server()), spelled: spelled(out)}
	setFields(out, reply, server.NoDefaultDate)
	out.CopyTo(&m.header)
	var kept any = m
	place.Store(&kept)
}

// untouched reports whether handlers have set nothing in a header that has no default Content-Type. The server may have set its name.
func untouched(h *fasthttp.ResponseHeader) bool {
	n := h.Len()
	if len(h.Server()) > 0 {
		n--
	}
	return n == 0 && h.ContentLength() == 0 && len(h.StatusMessage()) == 0 && string(h.Protocol()) == "HTTP/1.1"
}

// spelled reports whether names stay as they are spelled, which handlers may have said for this header (DisableNormalizing). fasthttp exports
// nothing that tells.
func spelled(h *fasthttp.ResponseHeader) bool {
	return reflect.ValueOf(h).Elem().FieldByIndex(spelling).Bool()
}

// spelling is the index of fasthttp's unexported field in a ResponseHeader. nil: this version has none, and no header is copied.
var spelling = func() []int {
	f, ok := reflect.TypeFor[fasthttp.ResponseHeader]().FieldByName("disableNormalizing")
	if !ok || f.Type.Kind() != reflect.Bool {
		return nil
	}
	return f.Index
}()
