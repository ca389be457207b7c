package tiered

import (
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// refusal is why a stream can't work until somebody changes a configuration.
type refusal struct {
	step string
	err  error
	want string
	also *refusal // of a later step of the same connection; nil: none
}

func (e *refusal) Error() string {
	text := fmt.Sprintf("%s: %v: want %s", e.step, e.err, e.want)
	if e.also != nil {
		text += "; " + e.also.Error()
	}
	return text
}

func (e *refusal) Unwrap() error { return e.err }

// The steps that are judged in a way of their own.
const (
	stepHello    = "HELLO 3"
	stepTracking = "CLIENT TRACKING"
	stepCanary   = "canary"
)

// judge tells a refusal from an error that passes.
func judge(step string, err error) error {
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		return err // the step of the handshake knows better
	case redis.IsPermissionError(err):
		return &refusal{step: step, err: err, want: "a user with the rights that NewRedis's documentation lists"}
	case redis.IsAuthError(err):
		return &refusal{step: step, err: err, want: "the right Username and Password in the client's options"}
	case !isReply(err) || passes(err) || step == stepCanary:
		return fmt.Errorf("%s: %w", step, err)
	}
	if step == stepHello || step == stepTracking {
		return &refusal{step: step, err: err, want: "Redis 6 or newer, which has RESP3 and CLIENT TRACKING, or RedisOptions.Invalidation: PubSub"}
	}
	return &refusal{step: step, err: err, want: "client options that the server accepts, or another RedisOptions.Invalidation"}
}

// isReply reports whether Redis has answered, if only with an error.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !errors.Is(err, redis.Nil)
}

// passes reports whether an error reply is due to a state that Redis leaves by itself, or that is to be undone elsewhere.
func passes(err error) bool {
	if redis.IsMaxClientsError(err) || mute(err) {
		return true
	}
	for _, prefix := range []string{"TRYAGAIN", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "MOVED", "ASK"} {
		if redis.HasErrorPrefix(err, prefix+" ") {
			return true
		}
	}
	return false
}

// mute reports whether the reply is one that a read gets as well: Redis loads its data, has lost its master or its
// majority, or is busy with a script.
func mute(err error) bool {
	for _, prefix := range []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY"} {
		if redis.HasErrorPrefix(err, prefix+" ") {
			return true
		}
	}
	return false
}

// unanswered reports whether the error of a canary says that reads aren't answered either. One that was refused as a
// write (OOM, READONLY, MISCONF, NOREPLICAS), for lack of a right or by the wrong node of a Cluster (MOVED) was answered,
// and so will be a read. Who isn't let in at all isn't answered: by a wrong password, or for too many clients.
func unanswered(err error) bool {
	switch {
	case err == nil, errors.Is(err, errNoSlots), errors.Is(err, errReplica):
		return false
	case spared(err), mute(err), redis.IsAuthError(err), redis.IsMaxClientsError(err):
		return true
	}
	return !isReply(err)
}

// unread reports whether the error of a call says that the server answers no reads to this client, whatever the key. That
// a key is another node's says so only where the client can't go there, being no Cluster's. That some keys are no node's
// doesn't.
func (r *Redis) unread(err error) bool {
	if err == nil {
		return false
	}
	if _, cluster := r.client.(*redis.ClusterClient); cluster {
		return unanswered(err) && !redis.HasErrorPrefix(err, "CLUSTERDOWN Hash slot not served")
	}
	return unanswered(err) || moved(err)
}

// unreadable reports whether the error of a read says that what Redis has can't be known, so that the local tier has to do.
// A value of another type is one that is known: it isn't ours.
func unreadable(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "WRONGTYPE ")
}

// moved reports whether the canary's slot is another node's.
func moved(err error) bool {
	return errors.Is(err, errNoSlots) || redis.HasErrorPrefix(err, "MOVED ") || redis.HasErrorPrefix(err, "ASK ")
}
