// Package frameworks tests tiercache inside real web frameworks, which reuse memory, wrap contexts and pool objects. It is a
// module of its own, so that users of tiercache don't depend on the frameworks.
package frameworks
