package history_test

import (
	"fmt"
	"testing"

	"github.com/tiercache/tiercache/internal/history"
)

// A correct cache has no violations, whatever the timing.
func TestCorrectModel(t *testing.T) {
	t.Parallel()
	checks := map[string]int{}
	for seed := range uint64(30) {
		sum := history.Check(runModel(noBug, seed, 4000))
		if len(sum.Violations) > 0 || sum.MaxStaleness == 0 || sum.MaxStaleness > sum.Delta {
			t.Fatalf("seed %d: %v", seed, sum)
		}
		for guarantee, n := range sum.Checks {
			checks[guarantee] += n
		}
	}
	for _, guarantee := range []string{"G1", "G2", "G3", "G4", "identity"} {
		if checks[guarantee] < 100 {
			t.Errorf("%d checks of %s", checks[guarantee], guarantee)
		}
	}
}

// Each bug violates its guarantee in any run that is long enough.
func TestBrokenModel(t *testing.T) {
	t.Parallel()
	for b, guarantee := range map[bug]string{
		servesDeleted:   "G3",
		fillsLate:       "G2",
		invalidatesLate: "G2",
		storesLate:      "G1",
		loadsTwice:      "G4",
		mixesKeys:       "identity",
	} {
		for seed := range uint64(10) {
			sum := history.Check(runModel(b, seed, 4000))
			n := 0
			for _, v := range sum.Violations {
				if v.Guarantee == guarantee {
					n++
				}
			}
			if n == 0 {
				t.Errorf("bug %d, seed %d: no violation of %s\n%v", b, seed, guarantee, sum)
			}
		}
	}
}

// The result doesn't depend on the order in which the operations are recorded.
func TestOrder(t *testing.T) {
	t.Parallel()
	r := runModel(fillsLate, 1, 4000)
	want := history.Check(r).String()
	for i, j := 0, len(r.Ops)-1; i < j; i, j = i+1, j-1 {
		r.Ops[i], r.Ops[j] = r.Ops[j], r.Ops[i]
	}
	if got := history.Check(r).String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, keys := range []int{4, 4000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			r := runModel(noBug, 1, 1_000_000)
			if keys > len(modelKeys) {
				spread(r)
			}
			b.ReportAllocs()
			for b.Loop() {
				if sum := history.Check(r); len(sum.Violations) > 0 {
					b.Fatal(sum)
				}
			}
			b.ReportMetric(float64(len(r.Ops)), "ops/record")
		})
	}
}

// spread splits the record into a thousand parts, and gives the operations of each part keys and tags of their own.
func spread(r *history.Record) {
	last := r.Ops[len(r.Ops)-1].Start
	parts := map[int64]int64{}
	for _, op := range r.Ops {
		parts[op.ID] = op.Start * 1000 / (last + 1)
	}
	for i := range r.Ops {
		op := &r.Ops[i]
		part := parts[op.ID]
		if op.Kind == history.Read {
			part = parts[op.Value]
		}
		if op.Key != "" {
			op.Key = fmt.Sprint(op.Key, ":", part)
		}
		for i, tag := range op.Tags {
			op.Tags[i] = fmt.Sprint(tag, ":", part)
		}
	}
}
