// Package mounts tests the HTTP caches mounted in routers and frameworks, together with common middleware.
package mounts
