package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/tiered"
)

// recording returns a Trace whose functions add their names to calls, and, of the contexts that they get, who made them.
func recording(name string, calls *[]string) *tiered.Trace {
	t := new(tiered.Trace)
	fields := reflect.ValueOf(t).Elem()
	for i := range fields.NumField() {
		f, field := fields.Field(i), fields.Type().Field(i).Name
		f.Set(reflect.MakeFunc(f.Type(), func(in []reflect.Value) []reflect.Value {
			ctx, _ := in[0].Interface().(context.Context)
			of := ""
			if ctx != nil {
				of, _ = ctx.Value(callerKey{}).(string)
			}
			*calls = append(*calls, name+"."+field+"("+of+")")
			if f.Type().NumOut() == 0 {
				return nil
			}
			return []reflect.Value{reflect.ValueOf(as(ctx, of+name))}
		}))
	}
	return t
}

// call calls a function of a Trace, and returns the context that it returns.
func callOf(f reflect.Value, ctx context.Context) context.Context {
	in := make([]reflect.Value, f.Type().NumIn())
	for i := range in {
		in[i] = reflect.Zero(f.Type().In(i))
	}
	if f.Type().In(0) == reflect.TypeFor[context.Context]() {
		in[0] = reflect.ValueOf(ctx)
	}
	if out := f.Call(in); len(out) > 0 {
		return out[0].Interface().(context.Context)
	}
	return ctx
}

// Both have all of the calls: the first begins first and ends last, like a caller around a callee, with the contexts that they made.
func TestJoin(t *testing.T) {
	var calls []string
	a, b := recording("a", &calls), recording("b", &calls)
	joined := reflect.ValueOf(a.Join(b)).Elem()
	for i := range joined.NumField() {
		name := joined.Type().Field(i).Name
		calls = nil
		ctx := as(t.Context(), "-")
		if begin, ok := strings.CutSuffix(name, "Done"); ok {
			ctx = callOf(joined.FieldByName(begin+"Start"), ctx)
			calls = nil
		}
		ctx = callOf(joined.Field(i), ctx)
		got := fmt.Sprint(calls)
		switch {
		case strings.HasSuffix(name, "Start"):
			if want := fmt.Sprintf("[a.%[1]s(-) b.%[1]s(-a)]", name); got != want || ctx.Value(callerKey{}) != "-ab" {
				t.Errorf("%s, %v, want %s", got, ctx, want)
			}
		case strings.HasSuffix(name, "Done"):
			if want := fmt.Sprintf("[b.%[1]s(-ab) a.%[1]s(-a)]", name); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		case len(calls) != 2 || !strings.HasPrefix(calls[0], "a."+name) || !strings.HasPrefix(calls[1], "b."+name):
			t.Error(got)
		}
	}
}

// A Trace, or a function of it, that is nil leaves the other.
func TestJoinWithNothing(t *testing.T) {
	var calls []string
	a, none := recording("a", &calls), new(tiered.Trace)
	if a.Join(nil) != a || (*tiered.Trace)(nil).Join(a) != a {
		t.Error("nil isn't nothing")
	}
	for _, joined := range []*tiered.Trace{a.Join(none), none.Join(a)} {
		v := reflect.ValueOf(joined).Elem()
		for i := range v.NumField() {
			calls = nil
			callOf(v.Field(i), t.Context())
			if len(calls) != 1 {
				t.Errorf("%s: %q", v.Type().Field(i).Name, calls)
			}
		}
	}
	if v := reflect.ValueOf(none.Join(none)).Elem(); !v.IsZero() {
		t.Error("of nothing there are functions")
	}
}

// If one of the functions of an end panics, the other is called.
func TestJoinOfAPanic(t *testing.T) {
	ended := false
	a := &tiered.Trace{WaitDone: func(context.Context, tiered.WaitInfo) { ended = true }}
	b := &tiered.Trace{WaitDone: func(context.Context, tiered.WaitInfo) { panic(errors.New("of b")) }}
	func() {
		defer func() { _ = recover() }()
		a.Join(b).WaitDone(t.Context(), tiered.WaitInfo{})
	}()
	if !ended {
		t.Error("the first wasn't called")
	}
}
