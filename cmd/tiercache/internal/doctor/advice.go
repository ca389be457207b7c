package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	defaultPrefix  = "tc:"
	DefaultTimeout = 250 * time.Millisecond // of RedisOptions
)

// advise chooses the options: the mode that hears of most changes, among those that work.
func (e *examination) advise() {
	if !e.modes[commands].works() || e.failed(serverKind) {
		return
	}
	o := &Options{Invalidation: tracking, Client: "NewClient", Prefix: e.Prefix, Timeout: e.fitting().Milliseconds()}
	switch {
	case e.modes[tracking].suits() && !e.mute():
	case e.modes[byKey].suits():
		o.Invalidation = byKey
		o.Cost = "With TrackingKeys the values that other programs wrote aren't kept in memory."
	case e.modes[pubSub].suits():
		o.Invalidation = pubSub
		o.Cost = "With PubSub the caches don't hear of changes by other programs, of evictions and of FLUSHALL."
	default:
		o.Invalidation = "None"
		o.Cost = "With None a process sees another's changes after LocalTTL."
	}
	if _, is := e.client.(*redis.ClusterClient); is {
		o.Client = "NewClusterClient"
	} else if e.Target.Sentinel != nil {
		o.Client = "NewFailoverClient"
	}
	e.report.Options, e.report.Code = o, o.code()
}

// code returns the options as Go code.
func (o *Options) code() string {
	var fields []string
	if o.Prefix != defaultPrefix {
		fields = append(fields, fmt.Sprintf("Prefix: %q", o.Prefix))
	}
	if o.Invalidation != tracking {
		fields = append(fields, "Invalidation: tiered."+o.Invalidation)
	}
	if o.Timeout != DefaultTimeout.Milliseconds() {
		fields = append(fields, fmt.Sprintf("Timeout: %d * time.Millisecond", o.Timeout))
	}
	return "tiered.RedisOptions{" + strings.Join(fields, ", ") + "}"
}
