package userdb

import "errors"

// User is a row of the table.
type User struct {
	ID int64 `json:"id"`
	Profile
	Joined string `json:"joined"` // the day
}

// Profile is what can be changed of a user.
type Profile struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	City  string `json:"city"`
}

// Validate returns an error that can be shown to whoever sent the profile.
func (p Profile) Validate() error {
	if p.Name == "" || p.Email == "" || p.City == "" {
		return errors.New("name, email and city: want all three")
	}
	return nil
}

// columns are what a row is scanned into.
func (u *User) columns() []any { return []any{&u.ID, &u.Name, &u.Email, &u.City, &u.Joined} }
