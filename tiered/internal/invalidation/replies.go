package invalidation

import (
	"errors"
	"strconv"
	"sync"
)

// What a stream asks on its own connection is answered there in the order of the questions, between the reports of changes. So the
// reply to a question is as new as the reports before it, and each later change of what it says is reported after it.
//
// The caches put questions into the stream's queue (ask). The heartbeat loop, which alone writes to the connection, sends those that
// wait together. The goroutine that reads the connection gives each reply to the first of those awaited.

// maxQuestions limits how many questions of a stream may be unanswered: those of a few chunks of a batch.
const maxQuestions = 1 << 13

var errConnectionEnded = errors.New("the connection that brings invalidations has ended")

// question asks for the beginning of a key's value.
type question struct {
	key    string
	length int
	reply  func(beginning string, err error) // called once, by the goroutine that reads the connection, or when that has ended
}

// questions are those of a stream.
type questions struct {
	mu      sync.Mutex
	waiting []question // not sent yet
	open    int        // not answered yet, sent or not
	closed  bool
}

// add adds a question, unless there are too many, or the stream has ended.
func (qs *questions) add(q question) bool {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.closed || qs.open >= maxQuestions {
		return false
	}
	qs.open++
	qs.waiting = append(qs.waiting, q)
	return true
}

// take returns those that wait.
func (qs *questions) take() []question {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	waiting := qs.waiting
	qs.waiting = nil
	return waiting
}

// answer gives a question its reply.
func (qs *questions) answer(q question, beginning string, err error) {
	qs.mu.Lock()
	qs.open--
	qs.mu.Unlock()
	q.reply(beginning, err)
}

// close ends the questions that wait, and accepts no more.
func (qs *questions) close() {
	qs.mu.Lock()
	qs.closed = true
	qs.mu.Unlock()
	qs.fail()
}

// fail ends the questions that wait.
func (qs *questions) fail() {
	for _, q := range qs.take() {
		qs.answer(q, "", errConnectionEnded)
	}
}

// awaitedReply is a reply that a connection has still to receive: that to a question, or to a command of the stream itself.
type awaitedReply struct {
	step     string // of errors that end the connection, if it isn't a question
	question *question
}

// awaitedReplies are those of a connection, in their order.
type awaitedReplies struct {
	mu    sync.Mutex
	all   []awaitedReply
	ended bool
}

// add adds replies that are about to be asked for. It reports whether the connection hasn't ended.
func (a *awaitedReplies) add(replies ...awaitedReply) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.all = append(a.all, replies...)
	}
	return !a.ended
}

// next removes the first and returns it; zero: there is none.
func (a *awaitedReplies) next() (first awaitedReply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) > 0 {
		first, a.all = a.all[0], a.all[1:]
	}
	return first
}

// end returns those that won't be received any more.
func (a *awaitedReplies) end() (rest []awaitedReply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rest, a.all, a.ended = a.all, nil, true
	return rest
}

// appendCommand appends a command for Redis.
func appendCommand(b []byte, words ...string) []byte {
	b = append(strconv.AppendInt(append(b, '*'), int64(len(words)), 10), "\r\n"...)
	for _, word := range words {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(word)), 10), "\r\n"...)
		b = append(append(b, word...), "\r\n"...)
	}
	return b
}
