package faultproxy

import (
	"fmt"
	"strings"
)

// State is a state of a Redis server in which it refuses some commands.
type State uint32

// The states. Each refuses what Redis refuses in it.
const (
	Well        State = iota // nothing is refused
	Loading                  // LOADING: all but what sets up a connection, TIME and pub/sub
	OutOfMemory              // OOM: commands that may add data, in scripts too
	ReadOnly                 // READONLY: commands that write, in scripts too
	Moved                    // MOVED: commands with keys
)

// String is the code that the replies begin with.
func (s State) String() string {
	code, _, _ := strings.Cut(s.reply(), " ")
	return code
}

// reply is the error that a refused command is answered with.
func (s State) reply() string {
	switch s {
	case Loading:
		return "LOADING Redis is loading the dataset in memory"
	case OutOfMemory:
		return "OOM command not allowed when used memory > 'maxmemory'."
	case ReadOnly:
		return "READONLY You can't write against a read only replica."
	case Moved:
		return "MOVED 3999 127.0.0.1:1"
	}
	return "WELL"
}

// Pretend has the server seem to be in a state, on all connections, old and new, until it is [Well]. A request that is just
// being passed on may still be carried out.
//
// In the place of a command that the state refuses the server gets a script that returns the error, so that replies keep
// their order. It has to be a Redis that permits EVAL, and to be up.
func (p *Proxy) Pretend(s State) { p.state.Store(uint32(s)) }

// pretender returns what edits the requests of one connection.
func pretender(p *Proxy) func(chunk) []byte {
	var c commands
	return func(next chunk) []byte {
		if next.end != nil {
			return c.flush()
		}
		if s := State(p.state.Load()); s != Well {
			return c.take(next.bytes, s.edit)
		}
		return c.take(next.bytes, nil)
	}
}

// spaced makes a set of the words of a list.
func spaced(list string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// What Redis's own flags say of the commands; those that nobody sends here are left out.
var (
	whileLoading = spaced("AUTH CLIENT COMMAND CONFIG DISCARD EXEC HELLO INFO MULTI PUBLISH QUIT RESET SELECT SUBSCRIBE TIME UNSUBSCRIBE")
	adding       = spaced("APPEND HSET INCR INCRBY LPUSH MSET PSETEX RPUSH SADD SET SETEX SETNX SETRANGE XADD ZADD")
	writing      = spaced("DEL EXPIRE FLUSHALL FLUSHDB GETDEL HDEL LPOP PEXPIRE PERSIST RENAME RPOP SREM UNLINK XDEL ZREM")
	reading      = spaced("EXISTS GET GETRANGE HGET HGETALL LRANGE MGET PTTL SMEMBERS STRLEN TTL TYPE XRANGE ZRANGE")
	scripts      = spaced("EVAL EVALSHA")
)

// refused reports whether the command is refused, and whether its script is run with what it calls refused.
func (s State) refused(words [][]byte) (whole, inScript bool) {
	if len(words) == 0 {
		return false, false
	}
	name := strings.ToUpper(string(words[0]))
	switch s {
	case Loading:
		return !whileLoading[name], false
	case OutOfMemory:
		return adding[name], name == "EVAL"
	case ReadOnly:
		return adding[name] || writing[name], name == "EVAL"
	case Moved:
		keyless := scripts[name] && len(words) > 2 && string(words[2]) == "0"
		return adding[name] || writing[name] || reading[name] || scripts[name] && !keyless, false
	}
	return false, false
}

// edit returns what is sent in the place of a command; nil: nothing else.
func (s State) edit(words [][]byte) []byte {
	switch whole, inScript := s.refused(words); {
	case whole:
		return encodeCommand([]byte("EVAL"), fmt.Appendf(nil, "return redis.error_reply(%q)", s.reply()), []byte("0"))
	case inScript && len(words) > 1:
		return encodeCommand(append([][]byte{words[0], []byte(s.guarded(string(words[1])))}, words[2:]...)...)
	}
	return nil
}

// guarded is a script that fails where it calls what the state refuses, as in a server that is in it.
func (s State) guarded(script string) string {
	sets := []map[string]bool{adding}
	if s == ReadOnly {
		sets = append(sets, writing)
	}
	var names strings.Builder
	for _, set := range sets {
		for name := range set {
			fmt.Fprintf(&names, "%s=1,", name)
		}
	}
	return fmt.Sprintf(`local redis=setmetatable({},{__index=redis})
local real,refused=getmetatable(redis).__index,{%s}
function redis.call(c,...) if refused[string.upper(c)] then error({err=%[2]q}) end return real.call(c,...) end
function redis.pcall(c,...) if refused[string.upper(c)] then return {err=%[2]q} end return real.pcall(c,...) end
%[3]s`, names.String(), s.reply(), script)
}
