package httpcache

import (
	"sync"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// hit answers with the stored response.
func (c *Cache) hit(view *requestView, cand *candidate) {
	c.stats.hits.Add(1)
	reply := replies.Get().(*Reply)
	reply.stored, reply.age = cand.found.mergedWith(view.x.Around), cand.age
	reply.status = rfc9111.Status{Cache: c.options.Name, Hit: true, TTL: cand.found.Lifetime - cand.age}
	if cand.softPurged {
		reply.status.TTL = cand.freshFor()
	}
	c.shape(reply, view.r, view.relevant)
	view.x.Serve(reply)
	*reply = Reply{}
	replies.Put(reply) // not after a panic of Serve, when it may still be in use
}

var replies = sync.Pool{New: func() any { return new(Reply) }}

// pass runs the handler without recording its response.
func (c *Cache) pass(x Exchange, why rfc9111.Forward) {
	x.Run(&Recording{status: rfc9111.Status{Cache: c.options.Name, Forward: why}})
}

// lead runs the handler and delivers the recorded response to the load that waits for it, also if the handler panics.
func (c *Cache) lead(x Exchange, rec *Recording) {
	defer rec.Drop()
	x.Run(rec)
	rec.end()
	if rec.reply != nil {
		x.Serve(rec.reply)
	}
}
