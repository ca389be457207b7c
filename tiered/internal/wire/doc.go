// Package wire is the format of what caches keep in Redis and tell each other. It makes and parses bytes and keys. It sends
// nothing: package remote reads and writes frames and leases, package tags the epoch, the count and the tags' records (whose
// values are described at tags.Store), and package invalidation the messages.
//
// # Keys
//
// With the prefix "tc:", the cache "users" has these keys, which [Keys] makes and [ParseRest] parses:
//
//	tc:users:42            a frame, a primary lease, a hold, or another program's value ValueKey
//	tc:users!lease:42      a secondary lease, while tc:users:42 has a value             LeaseKey
//	tc:users!tag:admins    the record of a tag                                          TagKey
//	tc:users!era{users}    the epoch                                                    EpochKey
//	tc:users!count{users}  the sequence number of invalidations                         SeqKey
//
// The code calls the era Epoch and the count Seq. The keys and channels that aren't a cache's begin with [ControlPrefix], here
// "tc!"; [ProbeKey] has an empty name, which no cache has.
//
// # Values
//
// A [Frame] is a value with its metadata. Its comment has the details, and testdata/frames.txt has test vectors:
//
//	magic C1 't' 'c'   3 bytes ┐
//	version            1       │
//	expired            1       │ the head: FrameHead, 17 bytes, which no other frame of the key has
//	checksum           4       │
//	id                 8       ┘ from here on the checksum covers it
//	flags, [schema, length, oldest load, kept for], codec, created, fresh for, load time, [3 windows], epoch, sequence number, tags
//	payload            the codec's bytes, to the end of the length
//	frames of other schemas and codecs, to the end
//
// A [Lease] is what a key holds while its value is loaded:
//
//	magic C1 't' 'l', version, token of 16 bytes   the head: LeaseHead, 20 bytes, which no other lease has
//	TTL, number of extensions                      uvarints
//
// A hold isn't bytes, but a sorted set, in the place of a value or of a tag's record: see redisconn.Hold.
//
// A message names changed keys, where processes tell each other themselves (PubSub): a version, the sender's id of 16 bytes,
// and the keys with their lengths. Keys in messages are whole keys of Redis.
//
// # The life of a frame
//
//   - [Frame.Encode] writes the header and lets the codec append the payload, in a pooled buffer, then the checksum. The
//     frame is copied out of the buffer once, when its size is known; a large one keeps the buffer.
//   - A read gets the bytes. [IsFrame] and [IsLease] tell them from other programs' values by the magic alone; [ParseFrame]
//     returns the fields, or [ErrFrame] if anything is wrong. The payload isn't copied: the codec decodes it in place.
//   - A store or a replay that is to replace the frame names it by its head, which a script compares in Redis.
//   - Expire changes one byte of it in Redis, at [ExpiredAt]. Then the head is another one, and a refresh that saw the old head
//     doesn't replace the frame. The checksum doesn't cover that byte.
//   - A replay that has only the beginning of a large frame asks [ParseFrameTimes] when its value was made.
//
// # Why this way
//
//   - The head has a random id. If the whole value were compared, each conditional store would send the old value as well, and
//     a value that was deleted and set again to the same bytes would pass for the old one.
//   - Times are of Redis's clock. With the clocks of the processes, a wrong one would make all values stale, or old ones fresh.
//   - C1 begins neither UTF-8 text nor a msgpack value, so what other programs store isn't taken for a frame.
//   - The payload is the last part of its frame, and unchanged, so that a codec.Appender writes it without a slice of its own.
//   - The epoch and the count have the cache's name as their hash tag: one script uses both, also in a Cluster.
//
// # The files, from the bottom up
//
//   - keys.go, tags.go, message.go: the keys, the bounds of tags, the messages. They use no other file.
//   - frame.go, then parse.go: what a frame is and how it is written; how it is read.
//   - versions.go: the frames of several releases under one key.
//   - lease.go: leases, which are read with the reader of parse.go.
//
// # Invariants
//
//   - Everything that is read may be any bytes: parsers return an error, never panic, and take no more memory than their input
//     warrants. Each has a fuzz target.
//   - The first FrameHead bytes of a frame, and the first LeaseHead bytes of a lease, identify it among all values that its
//     key ever had. Writes that replace what was read compare only these.
//   - Values of other programs are never taken for frames or leases, unless they begin with the same magic.
//   - A frame, a lease or a message of another version isn't parsed.
package wire
