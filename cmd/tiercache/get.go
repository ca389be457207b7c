package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/payload"
	"github.com/tiercache/tiercache/tiered/stored"
)

func getCommand() *command {
	var value bool
	return &command{
		name:  "get",
		args:  " cache key",
		short: "show what Redis has for a key: its value, age, TTL, tags, and why it isn't fresh",
		long: `
cache is the Options.Name of the cache, key the key as the program has it. A key has a frame for each release of the program that
uses it, the one written last first. A frame is

    fresh      served
    stale      served only as StaleWhileRevalidate and StaleIfError allow
    invalid    not served: it was cleared, or one of its tags was invalidated

A lease says that a process loads the value. What processes have in memory isn't visible from here. It changes nothing, and takes the rights
+get +pttl +time. The exit code is 3 if Redis has nothing for the key.`,
		define: func(f *flags) { f.BoolVar(&value, "value", false, "print only the value of the first frame, as JSON") },
		execute: func(ctx context.Context, f *flags, s streams) error {
			if f.NArg() != 2 {
				return usageError("it takes the name of a cache, and a key")
			}
			client, err := f.open(ctx)
			if err != nil {
				return err
			}
			defer client.Close()
			e, err := readEntry(ctx, client, stored.NewKeys(f.prefix, f.Arg(0)), unquote(f.Arg(1)))
			switch {
			case err != nil:
				return err
			case !e.found():
				fmt.Fprintf(s.err, "tiercache get: Redis has nothing under %s\n", quote(e.RedisKey))
				return errNotFound
			case value:
				return e.writeValue(s)
			case f.json:
				return printJSON(s.out, e)
			}
			return e.write(s.out)
		},
	}
}

// entry is what Redis has for a key.
type entry struct {
	Key      string  `json:"key"`
	RedisKey string  `json:"redisKey"`
	Bytes    int     `json:"bytes"`
	TTL      *int64  `json:"ttlMs"` // null: Redis keeps it for ever
	Frames   []frame `json:"frames,omitempty"`
	Lease    *lease  `json:"lease,omitempty"`
	Foreign  *value  `json:"foreign,omitempty"`
	Damaged  bool    `json:"damaged,omitempty"`
}

// frame is a value with its metadata.
type frame struct {
	State    string `json:"state"`
	Why      string `json:"why,omitempty"`
	Codec    string `json:"codec"`
	Schema   string `json:"schema,omitempty"` // hexadecimal
	Age      int64  `json:"ageMs"`
	FreshFor int64  `json:"freshForMs"` // from now on; negative: its TTL has ended
	Took     int64  `json:"loadMs"`
	Absent   bool   `json:"absent,omitempty"`

	Tags    []string         `json:"tags,omitempty"`
	Windows map[string]int64 `json:"windowsMs,omitempty"`
	value
}

// value is one that was decoded, or the reason why it wasn't.
type value struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Size    int             `json:"size"`
	Problem string          `json:"problem,omitempty"`
}

// lease is that of a process that loads the value.
type lease struct {
	EndsIn   int64  `json:"endsInMs"`
	Extended uint64 `json:"extended"`
	Beside   bool   `json:"beside"` // the old value is still there
}

func newValue(size int, decoded json.RawMessage, err error) value {
	v := value{Value: decoded, Size: size}
	if err != nil {
		v.Problem = err.Error()
	}
	return v
}

// readEntry reads what Redis has for a key.
func readEntry(ctx context.Context, client redis.UniversalClient, keys stored.Keys, key string) (*entry, error) {
	var got, beside *redis.StringCmd
	var left, besideLeft *redis.DurationCmd
	_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		got, left = pipe.Get(ctx, keys.Value(key)), pipe.PTTL(ctx, keys.Value(key))
		beside, besideLeft = pipe.Get(ctx, keys.Lease(key)), pipe.PTTL(ctx, keys.Lease(key))
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	e := &entry{Key: key, RedisKey: keys.Value(key)}
	if v := stored.Parse([]byte(beside.Val())); v.Lease != nil {
		e.Lease = &lease{besideLeft.Val().Milliseconds(), v.Lease.Extended, true}
	}
	if errors.Is(got.Err(), redis.Nil) {
		return e, nil
	}
	e.Bytes = len(got.Val())
	if ttl := left.Val(); ttl >= 0 {
		ms := ttl.Milliseconds()
		e.TTL = &ms
	}
	v := stored.Parse([]byte(got.Val()))
	switch {
	case v.Lease != nil:
		e.Lease = &lease{left.Val().Milliseconds(), v.Lease.Extended, false}
	case v.Foreign != nil:
		decoded, err := payload.Foreign(v.Foreign)
		foreign := newValue(len(v.Foreign), decoded, err)
		e.Foreign = &foreign
	case len(v.Frames) > 0:
		return e, e.readFrames(ctx, client, keys, v.Frames)
	default:
		e.Damaged = true
	}
	return e, nil
}

// readFrames reads how the frames may be served.
func (e *entry) readFrames(ctx context.Context, client redis.UniversalClient, keys stored.Keys, frames []stored.Frame) error {
	for i := range frames {
		f := &frames[i]
		var now *redis.TimeCmd
		var in []*redis.StringCmd
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			now = pipe.Time(ctx)
			in = append(in, pipe.Get(ctx, keys.Epoch()), pipe.Get(ctx, keys.Count()))
			for _, tag := range f.Tags {
				in = append(in, pipe.Get(ctx, keys.Tag(tag)))
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		invalidations := stored.Invalidations{Epoch: in[0].Val(), Count: in[1].Val()}
		for _, tag := range in[2:] {
			invalidations.Tags = append(invalidations.Tags, tag.Val())
		}
		e.Frames = append(e.Frames, newFrame(f, now.Val(), invalidations))
	}
	return nil
}

// newFrame describes a frame at the instant now of Redis's clock.
func newFrame(f *stored.Frame, now time.Time, in stored.Invalidations) frame {
	state, why := f.State(now, in)
	age := f.Age(now)
	y := frame{
		State: state.String(), Why: why, Codec: f.Codec, Absent: f.Absent, Tags: f.Tags,
		Age: age.Milliseconds(), FreshFor: (f.FreshFor - age).Milliseconds(), Took: f.Took.Milliseconds(),
	}
	if f.Schema != 0 {
		y.Schema = fmt.Sprintf("%016x", f.Schema)
	}
	if w := f.Windows; w != nil {
		y.Windows = map[string]int64{
			"RefreshAfter":         w.RefreshAfter.Milliseconds(),
			"StaleWhileRevalidate": w.StaleWhileRevalidate.Milliseconds(),
			"StaleIfError":         w.StaleIfError.Milliseconds(),
		}
	}
	if !f.Absent {
		decoded, err := payload.JSON(f.Codec, f.Payload)
		y.value = newValue(len(f.Payload), decoded, err)
	}
	return y
}

func (e *entry) found() bool { return e.Bytes > 0 || e.Foreign != nil || e.Lease != nil }

// writeValue writes only the value.
func (e *entry) writeValue(s streams) error {
	v := e.Foreign
	if len(e.Frames) > 0 {
		v = &e.Frames[0].value
	}
	switch {
	case v == nil, len(e.Frames) > 0 && e.Frames[0].Absent:
		fmt.Fprintf(s.err, "tiercache get: Redis has no value under %s\n", quote(e.RedisKey))
		return errNotFound
	case v.Problem != "":
		return errors.New(v.Problem)
	}
	_, err := fmt.Fprintf(s.out, "%s\n", v.Value)
	return err
}

// write writes the entry as text.
func (e *entry) write(w io.Writer) error {
	var b strings.Builder
	ttl := "for ever"
	if e.TTL != nil {
		ttl = "for " + ms(*e.TTL)
	}
	if e.Bytes > 0 || e.Foreign != nil {
		fmt.Fprintf(&b, "%s: %s, Redis keeps it %s\n", quote(e.RedisKey), size(e.Bytes), ttl)
	} else {
		fmt.Fprintf(&b, "%s: nothing\n", quote(e.RedisKey))
	}
	if l := e.Lease; l != nil {
		fmt.Fprintf(&b, "\nlease       a process loads the value; unless the lease is extended, it ends in %s (extended %d times)\n", ms(l.EndsIn), l.Extended)
	}
	if e.Damaged {
		b.WriteString("\ndamaged     it begins like a value of tiercache, and can't be read: caches load it again\n")
	}
	for i := range e.Frames {
		e.Frames[i].write(&b, i+1, len(e.Frames))
	}
	if e.Foreign != nil {
		b.WriteString("\nforeign     another program wrote it; caches decode it with their codec\n")
		e.Foreign.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *frame) write(b *strings.Builder, i, n int) {
	state := f.State
	if f.Why != "" {
		state += ": " + f.Why
	}
	b.WriteByte('\n')
	if n > 1 {
		fmt.Fprintf(b, "frame       %d of %d\n", i, n)
	}
	fresh := "fresh for " + ms(f.FreshFor) + " more"
	if f.FreshFor <= 0 {
		fresh = "its TTL ended " + ms(-f.FreshFor) + " ago"
	}
	fmt.Fprintf(b, "state       %s\nage         %s, %s\n", state, ms(f.Age), fresh)
	origin := "it was Set"
	if f.Took > 0 {
		origin = "loaded in " + ms(f.Took)
	}
	fmt.Fprintf(b, "origin      %s\ncodec       %s", origin, f.Codec)
	if f.Schema != "" {
		fmt.Fprintf(b, ", schema %s", f.Schema)
	}
	b.WriteByte('\n')
	if len(f.Tags) > 0 {
		b.WriteString("tags       ")
		for _, tag := range f.Tags {
			b.WriteString(" " + quote(tag))
		}
		b.WriteByte('\n')
	}
	if f.Windows != nil {
		var parts []string
		for _, name := range []string{"RefreshAfter", "StaleWhileRevalidate", "StaleIfError"} {
			parts = append(parts, name+" "+ms(f.Windows[name]))
		}
		fmt.Fprintf(b, "windows     %s\n", strings.Join(parts, ", "))
	}
	if f.Absent {
		b.WriteString("value       none: the source had no such value (ErrNotFound)\n")
		return
	}
	f.value.write(b)
}

func (v *value) write(b *strings.Builder) {
	if v.Problem != "" {
		fmt.Fprintf(b, "value       %s that can't be shown: %s\n", size(v.Size), v.Problem)
		return
	}
	fmt.Fprintf(b, "value       %s\n%s\n", size(v.Size), pretty(v.Value))
}

// pretty returns JSON in several lines.
func pretty(v json.RawMessage) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil {
		return string(v)
	}
	return strings.TrimSpace(b.String())
}
