// Package values calls what users supply for their values: the codec, Cost and Clone, and through these the values' own methods.
//
// [Funcs] is the only caller of them. A failure concerns one value: a panic becomes an error with a [codec.PanicError], and no
// flight, lock or goroutine of the cache is lost by it. [Funcs.Try] finds out, when a cache is opened, whether the codec can hold
// values of its type at all.
//
// # Invariants
//
//   - A value is encoded and weighed through a pointer, so that methods with a pointer receiver are used.
//   - runtime.Goexit can't be recovered from. The first call that uses it ends its goroutine: the caller's, or that of a load,
//     whose callers then get an error. From then on each call runs in a goroutine of its own.
//   - A call that can't panic costs nothing more: it allocates nothing of its own.
package values
