package redisconn

import (
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// PermanentError is why a stream can't work until somebody changes a configuration.
type PermanentError struct {
	step string
	err  error
	want string
	Also *PermanentError // of a later step of the same connection; nil: none
}

func (e *PermanentError) Error() string {
	text := fmt.Sprintf("%s: %v: want %s", e.step, e.err, e.want)
	if e.Also != nil {
		text += "; " + e.Also.Error()
	}
	return text
}

func (e *PermanentError) Unwrap() error { return e.err }

// The steps that are judged in a way of their own.
const (
	StepHello    = "HELLO 3"
	StepTracking = "CLIENT TRACKING"
	StepCanary   = "canary"
)

// Judge tells a refusal from an error that passes.
func Judge(step string, err error) error {
	var refused *PermanentError
	switch {
	case errors.As(err, &refused):
		return err // the step of the handshake knows better
	case redis.IsPermissionError(err):
		return &PermanentError{step: step, err: err, want: "a user with the rights that NewRedis's documentation lists"}
	case redis.IsAuthError(err):
		return &PermanentError{step: step, err: err, want: "the right Username and Password in the client's options"}
	case !isReply(err) || passes(err) || step == StepCanary:
		return fmt.Errorf("%s: %w", step, err)
	}
	if step == StepHello || step == StepTracking {
		return &PermanentError{step: step, err: err, want: "Redis 6 or newer, which has RESP3 and CLIENT TRACKING, or RedisOptions.Invalidation: PubSub"}
	}
	return &PermanentError{step: step, err: err, want: "client options that the server accepts, or another RedisOptions.Invalidation"}
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

// Unanswered reports whether the error of a canary says that reads aren't answered either. One that was refused as a
// write (OOM, READONLY, MISCONF, NOREPLICAS), for lack of a right or by the wrong node of a Cluster (MOVED) was answered,
// and so will be a read. Who isn't let in at all isn't answered: by a wrong password, or for too many clients.
func Unanswered(err error) bool {
	switch {
	case err == nil:
		return false
	case NotSent(err), mute(err), redis.IsAuthError(err), redis.IsMaxClientsError(err):
		return true
	case errors.Is(err, ErrReplica), is[*AnsweredError](err):
		return false
	}
	return !isReply(err)
}

// Unanswered reports whether the error of a call says that the server answers no reads to this client, whatever the key. That
// some keys of a Cluster are no node's doesn't say so.
func (r *Conn) Unanswered(err error) bool {
	if _, cluster := r.Client.(*redis.ClusterClient); cluster && redis.HasErrorPrefix(err, "CLUSTERDOWN Hash slot not served") {
		return false
	}
	return Unanswered(err)
}

// Unreadable reports whether the error of a read lets the local tier serve what isn't proved: Redis didn't answer. An error
// reply is an answer. Other clients may be served by the server that gave it, and may have changed the value: a process that
// went on with its own could be behind for as long as the value lives.
func Unreadable(err error) bool { return !errors.Is(err, redis.Nil) && Unanswered(err) }

// Moved reports whether the canary's slot is another node's.
func Moved(err error) bool {
	return errors.Is(err, ErrNoSlots) || redis.HasErrorPrefix(err, "MOVED ") || redis.HasErrorPrefix(err, "ASK ")
}

// AnsweredError is an error of our own that says nothing against the server's answering.
type AnsweredError struct{ text string }

func NewAnsweredError(text string) error { return &AnsweredError{text} }

func (e *AnsweredError) Error() string { return e.text }

// ErrNoSlots is the error of a canary for a node of a Cluster that has no slots.
var ErrNoSlots = NewAnsweredError("the node has no slots")

// is reports whether an error of the type is in err's chain.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
