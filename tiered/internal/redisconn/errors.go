package redisconn

import (
	"errors"
	"fmt"
)

// PermanentError is the error of a stream that can't work until somebody changes a configuration.
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

// The steps of a connection for which StepError has a rule of its own.
const (
	StepHello    = "HELLO 3"
	StepTracking = "CLIENT TRACKING"
	StepCanary   = "canary"
)

// StepError returns the error of a step of a stream's connection: a PermanentError if it won't end by itself.
func StepError(step string, err error) error {
	if hasType[*PermanentError](err) { // of a step within this one
		return err
	}
	cl := classify(err)
	want := "client options that the server accepts, or another RedisOptions.Invalidation"
	switch {
	case cl == noPermission:
		want = "a user with the rights that NewRedis's documentation lists"
	case cl == noAccess:
		want = "the right Username and Password in the client's options"
	case !cl.isReply(), cl.traits().temporary, step == StepCanary:
		return fmt.Errorf("%s: %w", step, err)
	case step == StepHello, step == StepTracking:
		want = "Redis 6 or newer, which has RESP3 and CLIENT TRACKING, or RedisOptions.Invalidation: PubSub"
	}
	return &PermanentError{step: step, err: err, want: want}
}

// errReplica says that a server isn't the one that the caches have to read and write.
var errReplica = NewAnsweredError("it is a replica, which may still have what was deleted: want its master")

// manyErrors are the errors of one call, in one line.
type manyErrors []error

func (e manyErrors) Error() string {
	text := ""
	for i, err := range e {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	return text
}

func (e manyErrors) Unwrap() []error { return e }

// Join is like errors.Join, but in one line.
func Join(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return manyErrors(errs)
}

// unwrapOnce is the error without the text that this package has put before it.
func unwrapOnce(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
