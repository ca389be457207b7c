package invalidation

import (
	"cmp"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Proof is what is known of a server and of its stream.
type Proof struct {
	Addr      string
	Watched   bool          // the stream reports changes
	Proved    bool          // they provably arrive
	ProvedFor time.Duration // for how long that still holds; negative: since when it doesn't
	Age       time.Duration // since the last canary that came back was sent, if Proved
	Err       error         // why changes don't arrive, or why the server isn't asked
}

// Proofs returns those of all servers, in the order of their addresses. It sends nothing.
func (ss *Streams) Proofs() (all []Proof) {
	for _, s := range ss.all() {
		v, at := s.Validity(), mono.Now()
		p := Proof{Addr: s.status.where(), Watched: !s.NoEvents, Proved: v.Holds(at) && !s.NoEvents, Err: s.statusError()}
		if s.breaker != nil {
			p.Err = cmp.Or(s.breaker.Status(), p.Err)
		}
		if p.Watched {
			p.ProvedFor = v.Until().Since(at)
			p.Age = s.group.MaxAge() - p.ProvedFor
			if !p.Proved {
				p.ProvedFor = s.status.downSince(at).Since(at)
			}
		}
		all = append(all, p)
	}
	return all
}
