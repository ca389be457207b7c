// Tiercache looks into the caches that programs with tiercache have in Redis.
//
//	tiercache doctor    examine a Redis in five seconds, and print the RedisOptions to use
//	tiercache get       show what Redis has for a key: its value, age, TTL, tags, and why it isn't fresh
//	tiercache ls        list the caches, or the keys or tags of a cache
//	tiercache purge     delete keys, what has a tag, or everything of a cache, in all processes
//	tiercache tail      show invalidations as they happen, until it is interrupted
//	tiercache stats     count the values, tags and leases of each cache, and their size
//
// "tiercache help command" describes a command, and docs/cli.md all of them.
package main
