// Package codec encodes values as bytes and decodes them, for the tier of a cache outside the process.
//
// Three codecs are ready to use:
//
//   - [JSON], the default: encoding/json. Readable in redis-cli, and any program can write values.
//   - [Msgpack]: MessagePack. Smaller and about twice as fast. A scanner checks the input before it is decoded.
//   - [Raw]: bytes and strings unchanged, for values that are already encoded. Other types are a [TypeError].
//
// [Zstd] and [S2] wrap one of them, or a codec of yours, and compress large values, which saves network and memory.
//
// [Sealed] wraps one of all these, and encrypts values.
//
// A [Codec] has a name, which is stored with each value: a value written with one codec is never read with another.
// To add a codec, implement the interface. Note that Marshal gets a pointer to the value, as Unmarshal does. A codec that also
// implements [Appender] doesn't allocate a slice for each value, and the values of an [Aliaser] may refer to the bytes that were read.
// Package codectest tests whether a codec does what caches rely on.
package codec
