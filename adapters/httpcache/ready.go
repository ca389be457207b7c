package httpcache

import (
	"strconv"
	"sync/atomic"
	"time"
)

// ready is what hits say of a stored response beside its own fields, made once for all of them.
type ready struct {
	length string // of the whole body
	only   bool   // no cache before this one has left a Cache-Status
	stamp  atomic.Pointer[stamp]
}

// stamp is what this cache says of a response in the course of a second.
type stamp struct {
	age, ttl         int64 // in seconds
	ageValue, status string
}

// prepare is called before the response is stored, when nothing of it changes any more.
func (r *response) prepare() {
	r.ready = &ready{length: strconv.Itoa(len(r.Body)), only: !has(r.Header, "Cache-Status")}
}

// stampOf returns the stamp for a hit.
func (r *ready) stampOf(reply *Reply) *stamp {
	age, ttl := int64(reply.age/time.Second), int64(reply.status.TTL/time.Second)
	if s := r.stamp.Load(); s != nil && s.age == age && s.ttl == ttl {
		return s
	}
	b := strconv.AppendInt(make([]byte, 0, 96), age, 10)
	ageEnd := len(b)
	all := string(reply.status.Append(b))
	s := &stamp{age: age, ttl: ttl, ageValue: all[:ageEnd], status: all[ageEnd:]}
	r.stamp.Store(s)
	return s
}
