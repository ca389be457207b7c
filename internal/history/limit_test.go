package history_test

import (
	"testing"

	"github.com/tiercache/tiercache/internal/history"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	type span struct{ start, end int64 }
	for _, c := range []struct {
		name   string
		loads  []span // of different keys
		edit   func(*history.Record)
		want   string
		checks int
	}{
		{"two", []span{{10, 20}, {11, 21}}, nil, "", 1},
		{"three", []span{{10, 20}, {11, 21}, {12, 22}}, nil, "limit", 1},
		{"four", []span{{10, 20}, {11, 21}, {12, 22}, {13, 23}}, nil, "limit limit", 1},
		{"the first has ended", []span{{10, 12}, {11, 21}, {12, 22}}, nil, "", 2},
		{"the second has ended", []span{{10, 20}, {11, 12}, {12, 22}}, nil, "", 2},
		{"one at a time", []span{{10, 11}, {11, 12}, {12, 13}}, nil, "", 0},
		{"a batch is one", []span{{10, 20}, {10, 20}, {10, 20}, {11, 12}}, nil, "", 1},
		{"a batch and two others", []span{{10, 20}, {10, 20}, {11, 21}, {12, 22}}, nil, "limit", 1},
		{"an end that wasn't recorded", []span{{10, 0}, {11, 21}, {12, 22}}, nil, "", 1},
		{"another process", []span{{10, 20}, {11, 21}, {12, 22}}, func(r *history.Record) { r.Ops[1].Process = 2 }, "", 1},
		{"a set", []span{{10, 20}, {11, 21}, {12, 22}}, func(r *history.Record) { r.Ops[1].Kind = history.Set }, "", 1},
		{"a load that failed", []span{{10, 20}, {11, 21}, {12, 22}}, func(r *history.Record) { r.Ops[1].OK = false }, "limit", 1},
		{"without a limit", []span{{10, 20}, {11, 21}, {12, 22}}, func(r *history.Record) { r.MaxLoads = 0 }, "", 0},
	} {
		r := history.Record{MaxLoads: 2}
		for i, s := range c.loads {
			r.Ops = append(r.Ops, history.Op{
				ID: int64(i + 1), Process: 1, Kind: history.Load, Key: string(rune('a' + i)), Start: s.start, End: s.end, OK: true,
			})
		}
		if c.edit != nil {
			c.edit(&r)
		}
		if sum := history.Check(&r); found(sum) != c.want || sum.Checks["limit"] != c.checks {
			t.Errorf("%s: found %q, want %q; %d checks, want %d\n%v", c.name, found(sum), c.want, sum.Checks["limit"], c.checks, sum)
		}
	}
}
