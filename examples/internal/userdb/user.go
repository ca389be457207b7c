package userdb

import "errors"

// User is a row of the table.
type User struct {
	ID int64 `json:"id"`
	Profile
	Joined string `json:"joined"` // a date
}

// Profile has the fields of a user that can be changed.
type Profile struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	City  string `json:"city"`
}

// Validate returns an error that may be shown to the client.
func (p Profile) Validate() error {
	if p.Name == "" || p.Email == "" || p.City == "" {
		return errors.New("name, email and city: want all three")
	}
	return nil
}

// columns returns the destinations for scanning a row.
func (u *User) columns() []any { return []any{&u.ID, &u.Name, &u.Email, &u.City, &u.Joined} }
