package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What an error means for its server is decided here. classify sorts an error into a class, by the texts of
// replyClasses if it is Redis's own, and traitsOf has all that follows from each class: for the breaker and the local
// tier (unanswered), for a Cluster (anotherNode), for NewRedis and the status of a stream (temporary), and for
// refusals. A reply that isn't in replyClasses is otherReply: an answer, and a refusal.
//
// The most important line is between an answer and silence. A server that refuses may still serve other clients,
// which change values. So a process that took its refusal for silence, and served what it has, could be behind for as
// long as its values live: see [Unanswered]. An error of this module says nothing against the server (ownError). A
// call that a breaker prevented counts as silence (notSent).

// class says what the error of a command means for its server. What follows from each is in [traitsOf].
type class uint8

const (
	success        class = iota
	noValue              // the key isn't there
	notSent              // see notSentError
	ownError             // an error of this module, which says nothing against the server
	noReply              // no connection, no answer in time, or one that isn't Redis's protocol
	loading              // LOADING, MASTERDOWN: no reads until Redis has its data, or its master
	clusterDown          // too few masters, or a slot that no node serves
	busy                 // a script takes long
	noAccess             // no user, or a wrong password
	maxClients           // too many connections
	wrongNode            // MOVED, ASK
	tryAgain             // keys of a slot that is on its way to another node
	readOnly             // a replica
	noWrites             // no memory, no snapshots, or too few replicas
	noPermission         // the user may not use the command, or not with this key
	unknownCommand       // the server, or its proxy, doesn't have the command
	crossSlot            // one command with the keys of two slots
	keyError             // the value is of another type, or would be too long
	otherReply
)

// traits are what follows from a class.
type traits struct {
	unanswered  bool // the server answers no read of this client, whatever the key
	temporary   bool // the state ends by itself, or something else than the client's configuration must change
	anotherNode bool // another node of a Cluster may do what this one didn't
	refused     bool // the server doesn't carry out the command, for a reason that lies neither with its key nor with rights
}

var traitsOf = [...]traits{
	notSent:        {unanswered: true},
	noReply:        {unanswered: true, temporary: true, anotherNode: true},
	ownError:       {temporary: true},
	loading:        {unanswered: true, temporary: true, anotherNode: true},
	clusterDown:    {unanswered: true, temporary: true, anotherNode: true},
	busy:           {unanswered: true, temporary: true},
	noAccess:       {unanswered: true},
	maxClients:     {unanswered: true, temporary: true},
	wrongNode:      {temporary: true, anotherNode: true},
	tryAgain:       {temporary: true, anotherNode: true},
	readOnly:       {temporary: true, anotherNode: true, refused: true},
	noWrites:       {temporary: true, refused: true},
	otherReply:     {refused: true},
	success:        {},
	noValue:        {},
	noPermission:   {},
	unknownCommand: {},
	crossSlot:      {},
	keyError:       {},
}

// replyClasses has the texts of error replies. The first that matches counts.
var replyClasses = []struct {
	text   string
	inside bool // the text may be anywhere: a script's error has that of its command within it, in words of its own
	class  class
}{
	{"LOADING ", false, loading},
	{"MASTERDOWN ", false, loading},
	{"CLUSTERDOWN ", false, clusterDown},
	{"BUSY ", false, busy},
	{"NOAUTH ", false, noAccess},
	{"WRONGPASS ", false, noAccess},
	{"unauthenticated", true, noAccess},
	{"max number of clients reached", false, maxClients},
	{"MOVED ", false, wrongNode},
	{"ASK ", false, wrongNode},
	{"TRYAGAIN ", false, tryAgain},
	{"READONLY ", false, readOnly},
	{"OOM ", false, noWrites},
	{"MISCONF ", false, noWrites},
	{"NOREPLICAS ", false, noWrites},
	{"NOPERM ", false, noPermission},
	{"nknown command", true, unknownCommand},
	{"nknown subcommand", true, unknownCommand},
	{"nknown Redis command", true, unknownCommand},
	{"can't run this command", true, unknownCommand},
	{"CROSSSLOT ", false, crossSlot},
	{"string exceeds maximum allowed size", false, keyError},
	{"WRONGTYPE ", true, keyError},
}

func classify(err error) class {
	reply, replied := errors.AsType[redis.Error](err)
	switch {
	case err == nil:
		return success
	case NotSent(err):
		return notSent
	case errors.Is(err, redis.Nil):
		return noValue
	case replied:
		return classifyReply(reply.Error())
	case hasType[*answeredError](err):
		return ownError
	}
	return noReply
}

func classifyReply(text string) class {
	text = strings.TrimPrefix(text, "ERR ") // which some servers put before every code
	for _, r := range replyClasses {
		if strings.HasPrefix(text, r.text) || r.inside && strings.Contains(text, r.text) {
			return r.class
		}
	}
	return otherReply
}

func (cl class) traits() traits { return traitsOf[cl] }

// isReply reports whether Redis has answered with an error.
func (cl class) isReply() bool { return cl > noReply }

// isMissing reports whether the server doesn't have the command, or not for this user.
func (cl class) isMissing() bool { return cl == noPermission || cl == unknownCommand }

// isRefusal reports whether the server may carry out another command, though not this one.
func (cl class) isRefusal() bool { return cl.isMissing() || cl.traits().refused }

// Unanswered reports whether the error says that the server answers no reads. Only then may the local tier serve values whose
// validity has run out. A command that was refused (OOM, READONLY, MISCONF, NOREPLICAS), for lack of a right or by the wrong
// node of a Cluster (MOVED) was answered: that server may serve other clients, which may have changed the value, and a process
// that went on with its own could be behind for as long as the value lives. A client that isn't let in, because of a wrong
// password or too many clients, isn't answered.
func Unanswered(err error) bool { return classify(err).traits().unanswered }

// IsMoved reports whether the canary's slot is another node's.
func IsMoved(err error) bool { return errors.Is(err, ErrNoSlots) || classify(err) == wrongNode }

// mayRetryElsewhere reports whether another node of a Cluster may do what this one failed to do. It may not where the time is over.
func mayRetryElsewhere(err error) bool {
	return classify(err).traits().anotherNode && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// notSentError is the error of a call that wasn't made, since the server's breaker is open.
type notSentError struct {
	addr  string
	cause error
}

func (e *notSentError) Error() string {
	return fmt.Sprintf("redis %s isn't asked: %v", e.addr, e.cause)
}

func (e *notSentError) Unwrap() error { return e.cause }

// NotSent reports whether Redis wasn't asked.
func NotSent(err error) bool { return hasType[*notSentError](err) }

// answeredError is an error of this module that says nothing against the server's answering.
type answeredError struct{ text string }

// NewAnsweredError returns an answeredError.
func NewAnsweredError(text string) error { return &answeredError{text} }

func (e *answeredError) Error() string { return e.text }

// ErrNoSlots is the error of a canary for a node of a Cluster that has no slots.
var ErrNoSlots = NewAnsweredError("the node has no slots")

// hasType reports whether an error of the type is in err's chain.
func hasType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
