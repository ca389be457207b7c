package tiered

import (
	"reflect"
	"sync/atomic"
	"testing"
)

// Stats has each of the counters.
func TestStatsHasEachCounter(t *testing.T) {
	t.Parallel()
	c, err := New(Options[string]{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := reflect.ValueOf(&c.stats).Elem()
	for i := range all.NumField() {
		(*atomic.Uint64)(all.Field(i).Addr().UnsafePointer()).Store(uint64(1000 + i))
	}
	fields := make(map[uint64]string)
	stats := reflect.ValueOf(c.Stats())
	for i := range stats.NumField() {
		if stats.Field(i).Kind() == reflect.Uint64 {
			fields[stats.Field(i).Uint()] = stats.Type().Field(i).Name
		}
	}
	for i := range all.NumField() {
		if fields[uint64(1000+i)] == "" {
			t.Errorf("no field of Stats has %s", all.Type().Field(i).Name)
		}
	}
}
