package tiered

import (
	"reflect"
	"strings"
	"unsafe"
)

// stringsIn returns where a value of the type has strings: itself, in its fields, or in its elements. What it refers to by a
// pointer or an interface doesn't count.
func stringsIn(t reflect.Type) (offsets []uintptr) {
	switch t.Kind() {
	case reflect.String:
		return []uintptr{0}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			for _, at := range stringsIn(f.Type) {
				offsets = append(offsets, f.Offset+at)
			}
		}
	case reflect.Array:
		within := stringsIn(t.Elem())
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

// ownID returns a batch's id with copies of its strings, which are at these offsets. A load may go on after the call, when
// the memory of the caller's is overwritten.
func ownID[K comparable](id K, offsets []uintptr) K {
	for _, at := range offsets {
		s := (*string)(unsafe.Add(unsafe.Pointer(&id), at))
		*s = strings.Clone(*s)
	}
	return id
}
