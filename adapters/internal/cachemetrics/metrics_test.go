package cachemetrics_test

import (
	"reflect"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/cachemetrics"
	"github.com/tiercache/tiercache/tiered"
)

// Each field of Stats is the value of one metric, and of no other.
func TestEachFieldHasAMetric(t *testing.T) {
	t.Run("tiers", func(t *testing.T) { testEachField(t, cachemetrics.Tiers()) })
	t.Run("http", func(t *testing.T) { testEachField(t, cachemetrics.HTTP()) })
}

func testEachField[S any](t *testing.T, metrics []cachemetrics.Metric[S]) {
	t.Helper()
	var s, none S
	v := reflect.ValueOf(&s).Elem()
	named := make(map[[2]string]bool)
	for _, m := range metrics {
		if n := [2]string{m.Name, m.Tier}; named[n] {
			t.Errorf("two metrics are named %q", n)
		} else {
			named[n] = true
		}
	}
	for i := range v.NumField() {
		s = none
		name, want := v.Type().Field(i).Name, int64(7)
		switch f := v.Field(i); f.Kind() {
		case reflect.Uint64:
			f.SetUint(7)
		case reflect.Int, reflect.Int64:
			f.SetInt(7)
		case reflect.Bool:
			f.SetBool(true)
			want = 1
		default:
			if f.Type() == reflect.TypeFor[tiered.Stats]() {
				continue // they have metrics of their own
			}
			t.Fatalf("%s is a %v", name, f.Kind())
		}
		n := 0
		for _, m := range metrics {
			switch got := m.Value(&s); {
			case got == want:
				n++
			case got != 0:
				t.Errorf("%s of %s=7 is %d", m.Name, name, got)
			}
		}
		if n != 1 {
			t.Errorf("%s is the value of %d metrics", name, n)
		}
	}
}
