// Package mounts tests the HTTP caches in the ways in which they are mounted in routers and frameworks, and among the
// middleware that is used with them.
package mounts
