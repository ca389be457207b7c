// Package userdb is the source whose data the examples cache: made-up users in SQLite, the same ones every time.
//
// A [DB] holds them, a [User] is one of them with a [Profile] that can be changed, and a [Page] is the part of the list
// that a request asks for.
package userdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver
)

const schema = `CREATE TABLE users (
	id     INTEGER PRIMARY KEY,
	name   TEXT NOT NULL,
	email  TEXT NOT NULL,
	city   TEXT NOT NULL,
	joined TEXT NOT NULL
)`

// The database is deleted when the process ends, so that it need not survive a power cut.
var pragmas = url.Values{"_pragma": {"journal_mode(wal)", "synchronous(off)", "busy_timeout(5000)"}}

// DB is a database of users. Its methods may be called from any number of goroutines.
type DB struct {
	sql *sql.DB
	dir string
}

// Open makes a database in a temporary directory, with n users whose IDs are 1 to n. The caller must close it.
func Open(ctx context.Context, n int) (*DB, error) {
	dir, err := os.MkdirTemp("", "tiercache-users-")
	if err != nil {
		return nil, fmt.Errorf("userdb: %w", err)
	}
	pool, err := sql.Open("sqlite", filepath.Join(dir, "users.db")+"?"+pragmas.Encode())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("userdb: opening: %w", err), os.RemoveAll(dir))
	}
	db := &DB{sql: pool, dir: dir}
	if err := db.fill(ctx, n); err != nil {
		return nil, errors.Join(fmt.Errorf("userdb: filling: %w", err), db.Close())
	}
	return db, nil
}

// Close closes the database and removes it.
func (db *DB) Close() error {
	if err := errors.Join(db.sql.Close(), os.RemoveAll(db.dir)); err != nil {
		return fmt.Errorf("userdb: closing: %w", err)
	}
	return nil
}

// fill inserts all users in one transaction, which is much faster than many.
func (db *DB) fill(ctx context.Context, n int) error {
	if _, err := db.sql.ExecContext(ctx, schema); err != nil {
		return err
	}
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	insert, err := tx.PrepareContext(ctx, "INSERT INTO users (id, name, email, city, joined) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for id := int64(1); id <= int64(n); id++ {
		u := madeUp(id)
		if _, err := insert.ExecContext(ctx, u.ID, u.Name, u.Email, u.City, u.Joined); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// List returns a page of the users, in the order of their IDs. Past the end it is empty.
func (db *DB) List(ctx context.Context, p Page) ([]User, error) {
	rows, err := db.sql.QueryContext(ctx,
		"SELECT id, name, email, city, joined FROM users ORDER BY id LIMIT ? OFFSET ?", p.Limit, p.Skip)
	if err != nil {
		return nil, fmt.Errorf("userdb: listing: %w", err)
	}
	defer rows.Close()
	users := []User{} // [] in JSON, not null
	for rows.Next() {
		var u User
		if err := rows.Scan(u.columns()...); err != nil {
			return nil, fmt.Errorf("userdb: listing: %w", err)
		}
		users = append(users, u)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("userdb: listing: %w", err)
	}
	return users, nil
}

// Get returns one user; if there is none, the error is [sql.ErrNoRows].
func (db *DB) Get(ctx context.Context, id int64) (User, error) {
	var u User
	err := db.sql.QueryRowContext(ctx, "SELECT id, name, email, city, joined FROM users WHERE id = ?", id).Scan(u.columns()...)
	if err != nil {
		return User{}, fmt.Errorf("userdb: user %d: %w", id, err)
	}
	return u, nil
}

// Update changes one user's profile and returns the user as it is now; if there is none, the error is [sql.ErrNoRows].
func (db *DB) Update(ctx context.Context, id int64, p Profile) (User, error) {
	var u User
	err := db.sql.QueryRowContext(ctx,
		"UPDATE users SET name = ?, email = ?, city = ? WHERE id = ? RETURNING id, name, email, city, joined",
		p.Name, p.Email, p.City, id).Scan(u.columns()...)
	if err != nil {
		return User{}, fmt.Errorf("userdb: updating user %d: %w", id, err)
	}
	return u, nil
}
