// Tiercache looks into the caches that programs with tiercache have in Redis.
//
//	tiercache doctor    examine a Redis in five seconds, and print the RedisOptions to use
//
// "tiercache help command" describes a command, and docs/cli.md all of them.
package main
