package faultproxy

import (
	"fmt"
	"strings"
)

// State is a state of a Redis server in which it refuses some commands.
type State uint32

// The states. In each the same commands are refused that Redis refuses.
const (
	Well        State = iota // no command is refused
	Loading                  // LOADING: all commands but those that set up a connection, TIME and pub/sub
	OutOfMemory              // OOM: commands that may add data, in scripts too
	ReadOnly                 // READONLY: commands that write, in scripts too
	Moved                    // MOVED: commands with keys
)

// String returns the code that the error replies begin with.
func (s State) String() string {
	code, _, _ := strings.Cut(s.reply(), " ")
	return code
}

// reply returns the error reply to a refused command.
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

// Pretend makes the server seem to be in a state, on all connections, old and new, until it is called with [Well]. A request
// that is being passed on meanwhile may still be executed.
//
// A command that the state refuses is replaced by a script that returns the error, so that replies keep their order. The
// server must be up, and permit EVAL.
func (p *Proxy) Pretend(s State) { p.state.Store(uint32(s)) }

// requestEditor returns a function that edits the requests of one connection.
func requestEditor(p *Proxy) func(chunk) []byte {
	var c commands
	return func(next chunk) []byte {
		if next.end != nil {
			return c.flush()
		}
		if s := State(p.state.Load()); s != Well {
			return c.take(next.bytes, s.edit)
		}
		if edit := p.replace.Load(); edit != nil {
			return c.take(next.bytes, *edit)
		}
		return c.take(next.bytes, nil)
	}
}

// setOf returns the words of a list as a set.
func setOf(list string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// The commands by Redis's own flags. Commands that no test sends are left out.
var (
	whileLoading = setOf("AUTH CLIENT COMMAND CONFIG DISCARD EXEC HELLO INFO MULTI PUBLISH QUIT RESET SELECT SUBSCRIBE TIME UNSUBSCRIBE")
	adding       = setOf("APPEND HSET INCR INCRBY LPUSH MSET PSETEX RPUSH SADD SET SETEX SETNX SETRANGE XADD ZADD")
	writing      = setOf("DEL EXPIRE FLUSHALL FLUSHDB GETDEL HDEL LPOP PEXPIRE PERSIST RENAME RPOP SREM UNLINK XDEL ZREM")
	reading      = setOf("EXISTS GET GETRANGE HGET HGETALL LRANGE MGET PTTL SMEMBERS STRLEN TTL TYPE XRANGE ZRANGE")
	scripts      = setOf("EVAL EVALSHA")
)

// refused reports whether the command is refused, and whether it is a script whose commands have to be refused one by one.
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

// edit returns what is sent instead of a command; nil: the command itself.
func (s State) edit(words [][]byte) []byte {
	switch whole, inScript := s.refused(words); {
	case whole:
		return encodeCommand([]byte("EVAL"), fmt.Appendf(nil, "return redis.error_reply(%q)", s.reply()), []byte("0"))
	case inScript && len(words) > 1:
		return encodeCommand(append([][]byte{words[0], []byte(s.restrict(string(words[1])))}, words[2:]...)...)
	}
	return nil
}

// restrict returns the script with redis.call and redis.pcall replaced by functions that refuse commands as Redis does in
// this state.
func (s State) restrict(script string) string {
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
