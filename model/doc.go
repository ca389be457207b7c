// Package model has models of what the caches of several processes do with one Redis, for the model checker spin, and tests that have it
// look at every order of events. README.md describes them.
package model
