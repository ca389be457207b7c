// Package values calls what users supply for their values: the codec, Cost and Clone, and through these the values' own methods.
// It knows of frames only that a payload goes into one, and it doesn't log or count: its callers do that with the errors.
//
// [Funcs] is the only caller of them. A failure concerns one value: a panic becomes an error with a [codec.PanicError], and no
// flight, lock or goroutine of the cache is lost by it. [Funcs.Try] finds out, when a cache is opened, whether the codec can hold
// values of its type at all. [OwnID] copies the strings in a batch's id, and
// [SchemaOf] says which processes can read each other's values.
//
// # A call
//
//   - Encode writes the header of a frame and has the codec append the value, for a Set and for the result of a load.
//   - Decode decodes the payload of a frame, or the value of another program, and then calls Weigh.
//   - Weigh returns the value's cost in the local tier, 1 without Options.Cost.
//   - Copy clones a value that enters the cache or leaves it. Callers don't call it without an Options.Clone.
//
// Each of them has a function that makes the call itself, such as encodeHere, with catch deferred. catch tells three ends apart:
// the call has returned, which the flag over says; it has panicked, and recover returns the value; or neither, and then it has
// called runtime.Goexit, for which recover returns nil.
//
// A Goexit can't be stopped. Funcs notes it in exits, and calls Exited once. From then on each call is made by inGoroutine, in a
// goroutine of its own, which a Goexit may end: the call then returns an error.
//
// # The trial
//
// New calls Try once. It encodes and decodes the zero value of T, and a sample that isn't nil if T is made of pointers, slices
// and maps. Only a conclusive failure is an error, since a value's methods may refuse the zero value, or panic on it:
//
//   - A [codec.TypeError] of one of package codec's own codecs is conclusive, for either value.
//   - A codec of somebody else must return one for each of the values, and nothing is conclusive if T contains an interface:
//     only the codec knows its types.
//   - For its own codecs the trial also knows types whose values they lose without an error: structs without an exported field,
//     and with JSON an interface that has methods (tryLeaf).
//
// # Goroutines and locks
//
// Funcs has no lock. exits is atomic, and the other fields don't change. Its methods may be called from any number of goroutines,
// and so may the user's codec, Cost and Clone.
//
// # Why this way
//
//   - With calls in several places, one without a recover loses more than a value: a panic while a value was decoded once made
//     each GetOrLoad of its key panic, so that none loaded another value.
//   - A goroutine for each call from the beginning would make a hit in Redis pay for a Goexit that nobody calls.
//   - A codec counts as one of package codec by the package of its type, not by its name: any codec may be called "json".
//
// # The files
//
//   - funcs.go: the calls.
//   - trial.go: Try, which uses funcs.go.
//   - id.go, schema.go: copies of the strings in an id; the fingerprint of a type. They use no other file.
//
// # Invariants
//
//   - A value is encoded and decoded through a pointer, so that methods with a pointer receiver are used.
//   - runtime.Goexit can't be recovered from. The first call that uses it ends its goroutine: the caller's, or that of a load,
//     whose callers then get an error. From then on each call runs in a goroutine of its own.
//   - A call that can't panic costs nothing more: it allocates nothing of its own.
package values
