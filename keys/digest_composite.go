package keys

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
)

func (d *digester) slice(v reflect.Value, depth int) {
	switch {
	case v.IsNil():
		d.tag(tagNoSlice)
	case v.Type().Elem().Kind() == reflect.Uint8:
		d.tag(tagBytes)
		d.uint64(uint64(v.Len()))
		d.buf = append(d.buf, v.Bytes()...)
	default:
		d.tag(tagSlice)
		d.elements(v, depth)
	}
}

func (d *digester) elements(v reflect.Value, depth int) {
	d.uint64(uint64(v.Len()))
	for i := range v.Len() {
		d.value(v.Index(i), depth+1)
	}
}

// mapping writes the entries in the order of their encodings, which begin with the key's.
func (d *digester) mapping(v reflect.Value, depth int) {
	if v.IsNil() {
		d.tag(tagNoMap)
		return
	}
	entries := make([][]byte, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		var entry digester
		entry.value(it.Key(), depth+1)
		entry.value(it.Value(), depth+1)
		entries = append(entries, entry.buf)
	}
	slices.SortFunc(entries, bytes.Compare)
	d.tag(tagMap)
	d.uint64(uint64(len(entries)))
	for _, entry := range entries {
		d.buf = append(d.buf, entry...)
	}
}

func (d *digester) structure(v reflect.Value, depth int) {
	if v.Type().ConvertibleTo(timeType) {
		d.time(v.Convert(timeType).Interface().(time.Time))
		return
	}
	fields := fieldsOf(v.Type())
	if fields.hidden && !v.CanAddr() {
		addressable := reflect.New(v.Type()).Elem()
		addressable.Set(v)
		v = addressable
	}
	d.tag(tagStruct)
	d.uint64(uint64(len(fields.list)))
	for _, f := range fields.list {
		d.string(f.name)
		d.value(f.of(v), depth+1)
	}
}

// structFields are the digested fields of a struct, sorted by name.
type structFields struct {
	list   []structField
	hidden bool // some are unexported
}

type structField struct {
	name   string
	index  int
	hidden bool
}

// of returns the field of v. An unexported one is read through its address: reflect doesn't allow to call methods on it, which
// the instant of a time needs.
func (f structField) of(v reflect.Value) reflect.Value {
	field := v.Field(f.index)
	if f.hidden {
		return reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
	}
	return field
}

// fieldCache has the structFields of each reflect.Type, which are expensive to compute.
var fieldCache sync.Map

func fieldsOf(t reflect.Type) *structFields {
	if cached, ok := fieldCache.Load(t); ok {
		return cached.(*structFields)
	}
	fields := &structFields{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		fields.list = append(fields.list, structField{name: f.Name, index: i, hidden: !f.IsExported()})
		fields.hidden = fields.hidden || !f.IsExported()
	}
	slices.SortFunc(fields.list, func(a, b structField) int { return strings.Compare(a.name, b.name) })
	cached, _ := fieldCache.LoadOrStore(t, fields)
	return cached.(*structFields)
}

func (d *digester) tag(t byte) { d.buf = append(d.buf, t) }

func (d *digester) bool(b bool) {
	if b {
		d.buf = append(d.buf, 1)
	} else {
		d.buf = append(d.buf, 0)
	}
}

func (d *digester) uint64(n uint64) { d.buf = binary.BigEndian.AppendUint64(d.buf, n) }

func (d *digester) string(s string) {
	d.uint64(uint64(len(s)))
	d.buf = append(d.buf, s...)
}
