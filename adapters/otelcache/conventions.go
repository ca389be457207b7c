package otelcache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tiercache/tiercache/tiered"
)

// The attributes of OpenTelemetry's semantic conventions for database clients, and for Redis, that this package sets.
const (
	operationNameKey = attribute.Key("db.operation.name")
	batchSizeKey     = attribute.Key("db.operation.batch.size")
	statusCodeKey    = attribute.Key("db.response.status_code")
	addressKey       = attribute.Key("server.address")
	portKey          = attribute.Key("server.port")
	errorTypeKey     = attribute.Key("error.type")
	directionKey     = attribute.Key("network.io.direction")
)

var systemName = attribute.String("db.system.name", "redis")

// command returns the command of a call. While that isn't known, it is assumed for reads of values; for others it is the step.
func command(r tiered.RedisInfo) string {
	switch {
	case r.Command != "":
		return strings.ToUpper(r.Command)
	case r.Step == "get" && r.Keys > 1:
		return "MGET"
	}
	return strings.ToUpper(r.Step)
}

// isBatch reports whether the call is a pipeline. An MGET is one operation.
func isBatch(r tiered.RedisInfo) bool { return r.Keys > 1 && command(r) != "MGET" }

// operationName returns the name of the call's operation, which is also the span's.
func operationName(r tiered.RedisInfo) string {
	if isBatch(r) {
		return "PIPELINE " + command(r)
	}
	return command(r)
}

// server returns the attributes of a server's address.
func server(addr string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(addr)
	number, failed := strconv.Atoi(port)
	if err != nil || failed != nil {
		return []attribute.KeyValue{addressKey.String(addr)} // of a Unix socket, say
	}
	return []attribute.KeyValue{addressKey.String(host), portKey.Int(number)}
}

// redisErrorType returns the attributes of a failed call of Redis.
func redisErrorType(err error) []attribute.KeyValue {
	if reply, ok := errors.AsType[redis.Error](err); ok {
		prefix, _, _ := strings.Cut(reply.Error(), " ")
		return []attribute.KeyValue{errorTypeKey.String(prefix), statusCodeKey.String(prefix)}
	}
	return errorType(err)
}

// errorType returns the attribute of a failed operation; nil: it has not failed.
func errorType(err error) []attribute.KeyValue {
	if err == nil {
		return nil
	}
	_, panicked := errors.AsType[*tiered.LoaderPanic](err)
	kind := ""
	switch {
	case panicked:
		kind = "panic"
	case errors.Is(err, tiered.ErrOverloaded):
		kind = "overloaded"
	case errors.Is(err, tiered.ErrClosed):
		kind = "closed"
	case errors.Is(err, context.DeadlineExceeded):
		kind = "timeout"
	case errors.Is(err, context.Canceled):
		kind = "canceled"
	default:
		kind = innermost(err)
	}
	return []attribute.KeyValue{errorTypeKey.String(kind)}
}

// innermost returns the type of the error that the others wrap.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

// describe returns the description of a failure, without the stack of a panic.
func describe(err error) string {
	if p, ok := errors.AsType[*tiered.LoaderPanic](err); ok {
		return fmt.Sprint("the loader panicked: ", p.Value)
	}
	return err.Error()
}
