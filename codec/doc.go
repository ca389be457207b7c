// Package codec turns values into bytes and back, for the tier of a cache that lives outside the process.
//
// Three codecs are ready to use:
//
//   - [JSON], the default: encoding/json. Readable in redis-cli, and any program can write a value that it understands.
//   - [Msgpack]: MessagePack. Smaller and about twice as fast. A scanner checks the input before anything is decoded.
//   - [Raw]: bytes and strings as they are, for values that are encoded already. Other types are a [TypeError].
//
// [Zstd] and [S2] wrap one of them, or a codec of yours, and compress large values, so that they cost less network and memory.
//
// A [Codec] is named, and the name is stored beside the value: a value written with one codec is never read with another.
// To add a codec, implement the interface and keep to its contract: Marshal, too, gets a pointer to the value. With [Appender] too it needs no slice of its own for
// each value.
package codec
