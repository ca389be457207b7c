// Package from has the code of docs/from: a read through another library, and the same read through tiercache.
package from
