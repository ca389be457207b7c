// Package frameworks has tests of tiercache inside real web frameworks, which reuse memory, wrap contexts and pool what they
// hand out. It is a module of its own, so that users of tiercache don't get the frameworks.
package frameworks
