package httpcache

import (
	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// hit answers with the stored response.
func (c *Cache) hit(p *plan) {
	view, cand, reply := &p.view, &p.candidate, &p.reply
	c.stats.hits.Add(1)
	reply.Shared, reply.stored, reply.age = c.options.SharedBodies, cand.found.mergedWith(view.x.Around), cand.age
	reply.status = rfc9111.Status{Cache: c.options.Name, Hit: true, TTL: cand.found.Lifetime - cand.age}
	if cand.softPurged {
		reply.status.TTL = cand.freshFor()
	}
	c.shape(reply, view.r, view.relevant)
	view.x.Serve(reply)
}

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
