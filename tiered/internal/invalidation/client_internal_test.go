package invalidation

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// What NewRedis does with an option of the client.
const (
	refused = "refused"                  // by NewRedis
	shown   = "can't be seen, but shown" // by the server, when it is reached
	carried = "carried over"             // to the connection of invalidations, and harmless for reads and writes
	ours    = "overridden"               // there; harmless for reads and writes
	unused  = "unused"                   // there, and harmless for reads and writes
	passed  = "passed on"                // by go-redis, as an option of another struct that is listed
	cluster = "of the Cluster client"    // alone, and harmless
	ring    = "of a Ring"                // which is refused
)

// clientOptions says what NewRedis does with every option of go-redis. A new one raises two questions: can it make a read come from
// elsewhere than the server that takes the writes? Does the connection of invalidations need it, or break with it?
var clientOptions = map[reflect.Type]map[string]string{
	reflect.TypeFor[redis.Options](): merge(
		each(carried, "Network Addr NodeAddress ClientName Username Password CredentialsProvider CredentialsProviderContext "+
			"StreamingCredentialsProvider DB DialTimeout TLSConfig ReadBufferSize WriteBufferSize PoolTimeout"),
		each(ours, "Protocol"),       // the stream needs RESP3, whatever the data's
		each(ours, "Dialer"),         // it is called by ours
		each(ours, "OnConnect"),      // likewise, which may SELECT another database, and then ours begins to track
		each(ours, "Limiter"),        // a call that it doesn't allow counts as unanswered; the stream must not be held up
		each(ours, "ReadTimeout"),    // of data calls, at which Timeout gives them up earlier
		each(ours, "WriteTimeout"),   // likewise
		each(ours, "MaxRetries"),     // each connection of the stream has a validity of its own
		each(ours, "DialerRetries"),  // likewise
		each(ours, "PoolSize"),       // likewise
		each(ours, "MinIdleConns"),   // likewise
		each(ours, "MaxActiveConns"), // likewise
		each(ours, "PipelinePoolSize"),
		each(ours, "ContextTimeoutEnabled"),
		each(ours, "DisableIdentity"),           // a command less
		each(ours, "PushNotificationProcessor"), // it has handlers of its own, and "invalidate" is ours there
		each(ours, "MaintNotificationsConfig"),  // a handoff would move the stream to another server unnoticed
		each(refused, "ClientSideCacheConfig ClientSideCache"),
		each(unused, "ClientSideCacheStrategy ClientSideCacheRefreshOnInvalidate ClientSideCacheCoalesceMisses "+
			"ClientSideCacheInvalidationBatchWindow"), // without the two above
		each(unused, "MinRetryBackoff MaxRetryBackoff DialerRetryTimeout DialerRetryBackoff PipelineReadBufferSize "+
			"PipelineWriteBufferSize AutoPipelineOptions PoolFIFO MaxConcurrentDials MaxIdleConns ConnMaxIdleTime ConnMaxLifetime "+
			"ConnMaxLifetimeJitter DisableIndentity IdentitySuffix UnstableResp3 FailingTimeoutSeconds"),
		each(cluster, "readOnly"), // by ClusterOptions.ReadOnly, which is refused
		each(unused, "maxConcurrentDialsSet maxConcurrentDialsInit"),
	),
	reflect.TypeFor[redis.ClusterOptions](): merge(
		each(refused, "ReadOnly RouteByLatency RouteRandomly"),
		each(cluster, "RouteByLatencyTolerance"), // without RouteByLatency
		each(shown, "NewClient"),                 // the nodes' own options are checked, when they are known
		each(shown, "ClusterSlots"),              // whose first node of a slot may be a replica
		// ShardPicker and DisableRoutingPolicies are for commands without a key: TIME alone.
		each(cluster, "Addrs MaxRedirects DisableRoutingPolicies ShardPicker ClusterStateReloadInterval AutoPipelineOptions"),
		each(passed, "ClientName Dialer OnConnect Protocol Username Password CredentialsProvider CredentialsProviderContext "+
			"StreamingCredentialsProvider MaxRetries MinRetryBackoff MaxRetryBackoff DialTimeout DialerRetries DialerRetryTimeout "+
			"DialerRetryBackoff ReadTimeout WriteTimeout ContextTimeoutEnabled MaxConcurrentDials PoolFIFO PoolSize PoolTimeout "+
			"MinIdleConns MaxIdleConns MaxActiveConns ConnMaxIdleTime ConnMaxLifetime ConnMaxLifetimeJitter ReadBufferSize "+
			"WriteBufferSize PipelineReadBufferSize PipelineWriteBufferSize PipelinePoolSize TLSConfig DisableIndentity "+
			"DisableIdentity IdentitySuffix UnstableResp3 PushNotificationProcessor FailingTimeoutSeconds MaintNotificationsConfig"),
	),
	reflect.TypeFor[redis.FailoverOptions](): merge(
		// NewFailoverClusterClient makes ClusterOptions.ReadOnly of it; NewFailoverClient doesn't show it.
		each(shown, "ReplicaOnly"),
		each(unused, "UseDisconnectedReplicas"),      // without ReplicaOnly
		each(passed, "RouteByLatency RouteRandomly"), // to ClusterOptions; NewFailoverClient panics
		each(passed, "RouteByLatencyTolerance"),
		// The dialer of the resulting client asks the sentinels for the master, also for the stream.
		each(carried, "MasterName SentinelAddrs SentinelUsername SentinelPassword"),
		each(passed, "ClientName Dialer OnConnect Protocol Username Password CredentialsProvider CredentialsProviderContext "+
			"StreamingCredentialsProvider DB MaxRetries MinRetryBackoff MaxRetryBackoff DialTimeout DialerRetries DialerRetryTimeout "+
			"DialerRetryBackoff ReadTimeout WriteTimeout ContextTimeoutEnabled ReadBufferSize WriteBufferSize PipelineReadBufferSize "+
			"PipelineWriteBufferSize PipelinePoolSize AutoPipelineOptions PoolFIFO PoolSize MaxConcurrentDials PoolTimeout "+
			"MinIdleConns MaxIdleConns MaxActiveConns ConnMaxIdleTime ConnMaxLifetime ConnMaxLifetimeJitter TLSConfig "+
			"DisableIndentity DisableIdentity IdentitySuffix FailingTimeoutSeconds UnstableResp3 PushNotificationProcessor"),
	),
	reflect.TypeFor[redis.UniversalOptions](): merge( // it makes one of the others
		each(passed, "Addrs ClientName DB Dialer OnConnect Protocol Username Password CredentialsProvider "+
			"CredentialsProviderContext StreamingCredentialsProvider SentinelUsername SentinelPassword MaxRetries MinRetryBackoff "+
			"MaxRetryBackoff DialTimeout DialerRetries DialerRetryTimeout ReadTimeout WriteTimeout ContextTimeoutEnabled "+
			"ReadBufferSize WriteBufferSize PipelineReadBufferSize PipelineWriteBufferSize PipelinePoolSize PoolFIFO PoolSize "+
			"MaxConcurrentDials PoolTimeout MinIdleConns MaxIdleConns MaxActiveConns ConnMaxIdleTime ConnMaxLifetime "+
			"ConnMaxLifetimeJitter TLSConfig MaxRedirects ReadOnly RouteByLatency RouteByLatencyTolerance RouteRandomly MasterName "+
			"DisableIndentity DisableIdentity IdentitySuffix FailingTimeoutSeconds UnstableResp3 PushNotificationProcessor "+
			"IsClusterMode AutoPipelineOptions MaintNotificationsConfig ClientSideCacheConfig ClientSideCache "+
			"ClientSideCacheStrategy ClientSideCacheRefreshOnInvalidate ClientSideCacheCoalesceMisses "+
			"ClientSideCacheInvalidationBatchWindow"),
	),
	reflect.TypeFor[redis.RingOptions](): each(ring, "Addrs NewClient himport ClientName HeartbeatFrequency HeartbeatFn "+
		"NewConsistentHash Dialer OnConnect Protocol Username Password CredentialsProvider CredentialsProviderContext "+
		"StreamingCredentialsProvider DB MaxRetries MinRetryBackoff MaxRetryBackoff DialTimeout DialerRetries DialerRetryTimeout "+
		"DialerRetryBackoff ReadTimeout WriteTimeout ContextTimeoutEnabled PoolFIFO PoolSize PoolTimeout MinIdleConns MaxIdleConns "+
		"MaxActiveConns ConnMaxIdleTime ConnMaxLifetime ConnMaxLifetimeJitter ReadBufferSize WriteBufferSize "+
		"PipelineReadBufferSize PipelineWriteBufferSize PipelinePoolSize TLSConfig Limiter DisableIndentity DisableIdentity "+
		"IdentitySuffix UnstableResp3"),
}

func each(treatment, fields string) map[string]string {
	m := make(map[string]string)
	for _, f := range strings.Fields(fields) {
		m[f] = treatment
	}
	return m
}

func merge(all ...map[string]string) map[string]string {
	m := make(map[string]string)
	for _, some := range all {
		for field, treatment := range some {
			if m[field] != "" {
				panic(field + " is listed twice")
			}
			m[field] = treatment
		}
	}
	return m
}

func TestClientOptions(t *testing.T) {
	for typ, fields := range clientOptions {
		for i := range typ.NumField() {
			if f := typ.Field(i).Name; fields[f] == "" {
				t.Errorf("%v.%s is not listed: may reads come from elsewhere with it, and does the stream need it?", typ, f)
			}
		}
		for f := range fields {
			if _, ok := typ.FieldByName(f); !ok {
				t.Errorf("%v.%s is listed, and isn't there any more", typ, f)
			}
		}
	}
}

type allowAll struct{}

func (allowAll) Allow() error       { return nil }
func (allowAll) ReportResult(error) {}

type noCredentials struct {
	auth.StreamingCredentialsProvider
}

// everyOption are options in which each field has another value than by default.
func everyOption(t *testing.T) *redis.Options {
	o := &redis.Options{
		Dialer:                       func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed },
		OnConnect:                    func(context.Context, *redis.Conn) error { return nil },
		CredentialsProvider:          func() (string, string) { return "", "" },
		CredentialsProviderContext:   func(context.Context) (string, string, error) { return "", "", nil },
		StreamingCredentialsProvider: noCredentials{},
		DialerRetryBackoff:           func(int) time.Duration { return 0 },
		AutoPipelineOptions:          new(redis.AutoPipelineOptions),
		TLSConfig:                    new(tls.Config),
		Limiter:                      allowAll{},
		PushNotificationProcessor:    push.NewProcessor(),
		MaintNotificationsConfig:     &maintnotifications.Config{Mode: maintnotifications.ModeEnabled},
		ClientSideCacheConfig:        new(redis.ClientSideCacheConfig),
		ClientSideCache:              redis.NewLocalCache(redis.ClientSideCacheConfig{}),
	}
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case !f.CanSet() || !f.IsZero():
		case f.Kind() == reflect.String:
			f.SetString("some")
		case f.Kind() == reflect.Bool:
			f.SetBool(v.Type().Field(i).Name != "DisableIdentity" && v.Type().Field(i).Name != "ContextTimeoutEnabled")
		case f.CanInt():
			f.SetInt(7)
		default:
			t.Errorf("%s needs a value", v.Type().Field(i).Name)
		}
	}
	o.Protocol = 2
	return o
}

// The connection of invalidations has the client's options that clientOptions says are carried over.
func TestOptionsOfTheStream(t *testing.T) {
	base := everyOption(t)
	g := &group{Conn: redisconn.New(nil, "tc:", time.Second, time.Second, nil)}
	o := newConnection(&stream{group: g}).options(base, time.Minute)
	was, is := reflect.ValueOf(base).Elem(), reflect.ValueOf(o).Elem()
	for f, treatment := range clientOptions[was.Type()] {
		field, _ := was.Type().FieldByName(f)
		if !field.IsExported() {
			continue
		}
		a, b := was.FieldByName(f), is.FieldByName(f)
		var same bool
		if a.Kind() == reflect.Func {
			same = a.Pointer() == b.Pointer()
		} else {
			same = a.Equal(b)
		}
		switch treatment {
		case carried, unused:
			if !same {
				t.Errorf("%s is to be %s: got %v, want %v", f, treatment, b, a)
			}
		case ours, refused:
			if same {
				t.Errorf("%s is to be %s: got the client's %v", f, treatment, b)
			}
		default:
			t.Errorf("%s: %s", f, treatment)
		}
	}
}
