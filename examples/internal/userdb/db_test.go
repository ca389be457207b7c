package userdb_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/examples/internal/userdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a database of 100 users that is closed with the test.
func open(t *testing.T) *userdb.DB {
	t.Helper()
	db, err := userdb.Open(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func list(t *testing.T, db *userdb.DB, p userdb.Page) []userdb.User {
	t.Helper()
	users, err := db.List(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// Processes that begin at the same time share a file, which one of them fills, and which stays.
func TestFileIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	open := func() *userdb.DB {
		db, err := userdb.OpenFile(t.Context(), path, 100)
		if err != nil {
			t.Error(err)
			return nil
		}
		return db
	}
	dbs := make([]*userdb.DB, 4)
	var all sync.WaitGroup
	for i := range dbs {
		all.Go(func() { dbs[i] = open() })
	}
	if all.Wait(); t.Failed() {
		return
	}
	if _, err := dbs[0].Update(t.Context(), 7, userdb.Profile{Name: "Grace", Email: "grace@example.com", City: "Ghent"}); err != nil {
		t.Fatal(err)
	}
	for _, db := range append(dbs, open()) {
		if u, err := db.Get(t.Context(), 7); err != nil || u.Name != "Grace" {
			t.Errorf("%+v, %v", u, err)
		}
		if n := len(list(t, db, userdb.Page{Limit: 1000})); n != 100 {
			t.Errorf("%d users", n)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryDatabaseHasTheSameUsers(t *testing.T) {
	all := userdb.Page{Limit: 1000}
	users := list(t, open(t), all)
	if len(users) != 100 {
		t.Fatalf("%d users, want 100", len(users))
	}
	if others := list(t, open(t), all); !reflect.DeepEqual(users, others) {
		t.Error("two databases have different users")
	}
	profiles := map[userdb.Profile]bool{}
	for _, u := range users {
		profiles[u.Profile] = true
	}
	if len(profiles) != 100 {
		t.Errorf("%d different profiles, want 100", len(profiles))
	}
}

func TestList(t *testing.T) {
	db := open(t)
	for _, c := range []struct {
		page        userdb.Page
		first, last int64
	}{
		{userdb.Page{Limit: 20}, 1, 20},
		{userdb.Page{Skip: 20, Limit: 20}, 21, 40},
		{userdb.Page{Skip: 90, Limit: 20}, 91, 100},
	} {
		users := list(t, db, c.page)
		if first, last := users[0].ID, users[len(users)-1].ID; first != c.first || last != c.last {
			t.Errorf("%+v: users %d to %d, want %d to %d", c.page, first, last, c.first, c.last)
		}
	}
	if users := list(t, db, userdb.Page{Skip: 100, Limit: 20}); users == nil || len(users) != 0 {
		t.Errorf("past the end: %v, want an empty list", users)
	}
}

func TestUpdate(t *testing.T) {
	db := open(t)
	before, err := db.Get(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Profile = userdb.Profile{Name: "Grace", Email: "grace@example.com", City: "Ghent"}
	if got, err := db.Update(t.Context(), 7, want.Profile); err != nil || got != want {
		t.Errorf("Update: %+v, %v, want %+v", got, err, want)
	}
	if got, err := db.Get(t.Context(), 7); err != nil || got != want {
		t.Errorf("Get: %+v, %v, want %+v", got, err, want)
	}
}

func TestNoSuchUser(t *testing.T) {
	db := open(t)
	if _, err := db.Get(t.Context(), 101); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("Get: %v, want sql.ErrNoRows", err)
	}
	if _, err := db.Update(t.Context(), 101, userdb.Profile{}); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("Update: %v, want sql.ErrNoRows", err)
	}
}

func TestWritersDoNotDisturbEachOther(t *testing.T) {
	db := open(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for id := range int64(20) {
				if _, err := db.Update(t.Context(), id+1, userdb.Profile{Name: "N", Email: "E", City: "C"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
