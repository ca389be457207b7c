package values

import (
	"fmt"
	"hash/fnv"
	"io"
	"reflect"
	"regexp"
)

// The schema of a cache's values says whether a process can use a value that another has encoded. Two releases of a program whose
// struct differs have different schemas, so neither decodes the other's values, which would leave fields at zero.
//
// The fingerprint of a type is a hash of its description. The description has what codecs look at: names, types and tags of exported
// fields, in order. It has no names of packages and types, which may be moved and renamed without a change of the encoding, except
// those of types that encode themselves, whose fields may not be all. Each type with a name is described once; after that its
// number stands for it, so that types may refer to each other.

// SchemaOf returns the schema of a cache's values: a fingerprint of T, or of the version if it isn't "". It is never 0.
func SchemaOf[T any](version string) uint64 {
	h := fnv.New64a()
	if version != "" {
		_, _ = io.WriteString(h, "version "+version)
	} else {
		describe(h, reflect.TypeFor[T](), make(map[reflect.Type]int))
	}
	return max(1, h.Sum64())
}

// localNumber is what reflection adds to the name of a type that was declared in a function, as a type's argument: a number that depends
// on the rest of the package.
var localNumber = regexp.MustCompile(`·[0-9]+`)

// describe writes the description of a type. The types with a name that were described before are known by their numbers.
func describe(w io.Writer, t reflect.Type, known map[reflect.Type]int) {
	if t.Name() != "" {
		if number, ok := known[t]; ok {
			fmt.Fprintf(w, "type %d;", number)
			return
		}
		if hasParts(t) { // so that a basic type with a name is described like one without
			known[t] = len(known)
		}
		if encodesItself(t) {
			fmt.Fprintf(w, "%s.%s ", t.PkgPath(), localNumber.ReplaceAllString(t.Name(), ""))
		}
	}
	fmt.Fprintf(w, "%v ", t.Kind())
	switch t.Kind() {
	case reflect.Array:
		fmt.Fprintf(w, "%d ", t.Len())
		describe(w, t.Elem(), known)
	case reflect.Pointer, reflect.Slice:
		describe(w, t.Elem(), known)
	case reflect.Map:
		describe(w, t.Key(), known)
		describe(w, t.Elem(), known)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() || f.Anonymous {
				fmt.Fprintf(w, "%s %q %v ", f.Name, f.Tag, f.Anonymous)
				describe(w, f.Type, known)
			}
		}
	}
	_, _ = io.WriteString(w, ";")
}

// hasParts reports whether the type is made of other types.
func hasParts(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array, reflect.Map, reflect.Pointer, reflect.Slice, reflect.Struct:
		return true
	}
	return false
}
