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

const schema = `CREATE TABLE IF NOT EXISTS users (
	id     INTEGER PRIMARY KEY,
	name   TEXT NOT NULL,
	email  TEXT NOT NULL,
	city   TEXT NOT NULL,
	joined TEXT NOT NULL
)`

// The data are made up, so that they need not survive a power cut.
var options = url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(wal)", "synchronous(off)"}, "_txlock": {"immediate"}}

// DB is a database of users. Its methods may be called from any number of goroutines.
type DB struct {
	sql *sql.DB
	dir string // is removed by Close; "": none
}

// Open makes a database in a temporary directory, with n users whose IDs are 1 to n. The caller must close it.
func Open(ctx context.Context, n int) (*DB, error) {
	dir, err := os.MkdirTemp("", "tiercache-users-")
	if err != nil {
		return nil, fmt.Errorf("userdb: %w", err)
	}
	db, err := OpenFile(ctx, filepath.Join(dir, "users.db"), n)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	db.dir = dir
	return db, nil
}

// OpenFile is Open for a database in a file, which stays. Several processes of one machine may have it open. The first fills it.
func OpenFile(ctx context.Context, path string, n int) (*DB, error) {
	pool, err := sql.Open("sqlite", path+"?"+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("userdb: opening: %w", err)
	}
	db := &DB{sql: pool}
	if err := db.fill(ctx, n); err != nil {
		return nil, errors.Join(fmt.Errorf("userdb: filling %s: %w", path, err), db.Close())
	}
	return db, nil
}

// Close closes the database, and removes it if Open has made it.
func (db *DB) Close() error {
	err := db.sql.Close()
	if db.dir != "" {
		err = errors.Join(err, os.RemoveAll(db.dir))
	}
	if err != nil {
		return fmt.Errorf("userdb: closing: %w", err)
	}
	return nil
}

// fill inserts all users in one transaction, which is much faster than many, unless there are users already.
func (db *DB) fill(ctx context.Context, n int) error {
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	var filled bool
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT * FROM users)").Scan(&filled); err != nil || filled {
		return err
	}
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
