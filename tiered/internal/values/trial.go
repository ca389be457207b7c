package values

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/codec"
)

// trialDepth is the number of nested containers in a sample: a T of [][]*User is tried with one User.
const trialDepth = 4

// Try returns an error if the codec can hold no value of T. It encodes and decodes the zero value and, if T is a pointer, a
// slice or a map, one that has an element. It returns an error only if a failure is conclusive: the methods of a type may refuse
// its zero value, or panic on it, and such values are reported when they occur. For a user's codec only a *codec.TypeError for
// each of these values is conclusive, and nothing is if T has an interface inside, whose types only the codec knows.
func (v *Funcs[T]) Try() error {
	_, err := inGoroutine("Options.Codec", func() (struct{}, error) { return struct{}{}, v.tryAll() })
	var wrong *conclusiveError
	if !errors.As(err, &wrong) {
		return nil
	}
	return fmt.Errorf("tiered: Options.Codec is %s, which can't hold %v: want a codec that can, or no Options.Redis: %w",
		v.Name, reflect.TypeFor[T](), wrong.cause)
}

// conclusiveError is a conclusive failure of a trial.
type conclusiveError struct{ cause error }

func (e *conclusiveError) Error() string { return e.cause.Error() }

var (
	errNoExported = errors.New("none of its fields is exported")
	errUndecided  = errors.New("JSON doesn't say which type to decode into an interface that has methods")
)

// tryAll runs the trial and turns a panic into an error.
func (v *Funcs[T]) tryAll() (err error) {
	over := false
	defer v.catch("Options.Codec", &over, &err)
	err = v.tryEach()
	over = true
	return err
}

// tryEach encodes and decodes the sample values.
func (v *Funcs[T]) tryEach() error {
	t := reflect.TypeFor[T]()
	full, leaf := sample(t, trialDepth)
	ours, c := v.isOurs(), codec.Bind(v.Codec, v.Cache, "")
	if !ours && leaf.Kind() == reflect.Interface {
		return nil // a nil shows nothing of the types that the codec knows
	}
	for i, value := range []reflect.Value{reflect.Zero(t), full} {
		p := reflect.New(t)
		p.Elem().Set(value)
		data, err := codec.Append(c, nil, p.Interface())
		if err == nil {
			err = c.Unmarshal(data, reflect.New(t).Interface())
		}
		wrong, ok := errors.AsType[*codec.TypeError](err)
		switch {
		case ok && (ours || i == 1):
			return &conclusiveError{wrong}
		case !ok && !ours:
			return nil // the codec can hold this value, or refuses it for another reason
		}
	}
	if !ours {
		return nil // its result for a sample shows nothing of other values
	}
	return v.tryLeaf(c, leaf)
}

// ours are the codecs of package codec that encode values themselves, and wrappers what the names of its other codecs begin with,
// which change what another codec encodes. TestOursAreAll fails if one is missing.
var (
	ours     = []codec.Codec{codec.JSON, codec.Msgpack, codec.Raw}
	wrappers = []string{"zstd(", "s2(", "sealed("}
)

// isOurs reports whether the codec is one of package codec, and the innermost codec of a wrapping one has the name of such
// a codec.
func (v *Funcs[T]) isOurs() bool {
	t := reflect.TypeOf(v.Codec)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	named := func(c codec.Codec) bool { return c.Name() == innermost(v.Name) }
	return t.PkgPath() == reflect.TypeOf(codec.JSON).PkgPath() && slices.ContainsFunc(ours, named)
}

// tryLeaf returns an error for a type whose values a codec of package codec encodes but loses.
func (v *Funcs[T]) tryLeaf(c codec.Codec, leaf reflect.Type) error {
	switch {
	case leaf.Kind() == reflect.Interface && leaf.NumMethod() > 0 && innermost(v.Name) == codec.JSON.Name():
		some := true
		data, err := codec.Append(c, nil, &some)
		if err == nil {
			err = c.Unmarshal(data, reflect.New(leaf).Interface())
		}
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Type == leaf {
			return &conclusiveError{errUndecided}
		}
	case leaf.Kind() == reflect.Struct && leaf.NumField() > 0 && !encodesItself(leaf) && !hasExported(leaf) && innermost(v.Name) != codec.Raw.Name():
		nothing, err := codec.Append(c, nil, &struct{}{})
		if err != nil {
			return err
		}
		if data, err := codec.Append(c, nil, reflect.New(leaf).Interface()); err == nil && len(data) == len(nothing) {
			return &conclusiveError{errNoExported}
		}
	}
	return nil
}

// sample returns a value of t that isn't nil, and the type inside its containers.
func sample(t reflect.Type, depth int) (v reflect.Value, leaf reflect.Type) {
	v = reflect.New(t).Elem()
	if depth == 0 || encodesItself(t) {
		return v, t
	}
	switch t.Kind() {
	case reflect.Pointer:
		elem, leaf := sample(t.Elem(), depth-1)
		p := reflect.New(t.Elem())
		p.Elem().Set(elem)
		v.Set(p)
		return v, leaf
	case reflect.Slice:
		elem, leaf := sample(t.Elem(), depth-1)
		v.Set(reflect.MakeSlice(t, 1, 1))
		v.Index(0).Set(elem)
		return v, leaf
	case reflect.Map:
		elem, leaf := sample(t.Elem(), depth-1)
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.New(t.Key()).Elem(), elem)
		return v, leaf
	}
	return v, t
}

// encodesItself reports whether the type has a method that a codec may use instead of its fields or elements.
func encodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false
	}
	for m := range reflect.PointerTo(t).Methods() {
		if strings.HasPrefix(m.Name, "Marshal") || strings.HasPrefix(m.Name, "Encode") {
			return true
		}
	}
	return false
}

// hasExported reports whether the struct type has an exported field.
func hasExported(t reflect.Type) bool {
	for _, f := range reflect.VisibleFields(t) {
		if f.IsExported() {
			return true
		}
	}
	return false
}

// innermost returns the name of the codec inside the wrapping ones.
func innermost(name string) string {
	for _, wrapper := range wrappers {
		if inner, ok := strings.CutPrefix(name, wrapper); ok {
			return innermost(strings.TrimSuffix(inner, ")"))
		}
	}
	return name
}
