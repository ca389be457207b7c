package values

import (
	"reflect"
	"strings"
	"unsafe"
)

// StringsIn returns the offsets of the strings in a value of the type: itself, its fields and its elements. Strings behind a
// pointer or an interface don't count.
func StringsIn(t reflect.Type) (offsets []uintptr) {
	switch t.Kind() {
	case reflect.String:
		return []uintptr{0}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			for _, at := range StringsIn(f.Type) {
				offsets = append(offsets, f.Offset+at)
			}
		}
	case reflect.Array:
		within := StringsIn(t.Elem())
		for i := range uintptr(t.Len()) {
			for _, at := range within {
				offsets = append(offsets, i*t.Elem().Size()+at)
			}
			if len(within) == 0 {
				break
			}
		}
	}
	return offsets
}

// OwnID returns a batch's id with copies of its strings, which are at the offsets. A load may go on after the call has returned,
// when the caller's strings may be overwritten. It uses unsafe, because an id may be a struct with unexported fields, which
// reflection can't set.
func OwnID[K comparable](id K, offsets []uintptr) K {
	for _, at := range offsets {
		s := (*string)(unsafe.Add(unsafe.Pointer(&id), at))
		*s = strings.Clone(*s)
	}
	return id
}
