// Package pgtest starts real PostgreSQL servers for tests.
//
//	s := pgtest.Start(t)
//	db, err := sql.Open("pgx", s.URL())
//
// A server listens on a Unix socket in its directory alone, keeps its data without fsync, and ends with its test. On Linux it also
// ends if the test binary is killed. PostgreSQL refuses to run as root: then it runs as the user postgres or nobody.
package pgtest
