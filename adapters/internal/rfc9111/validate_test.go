package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §4.3.1.
func TestConditions(t *testing.T) {
	modified := httpDate(noon)
	for _, tc := range []struct {
		name              string
		stored            rfc9111.Validators
		noneMatch, modify string
	}{
		{"no validator", rfc9111.Validators{}, "", ""},
		{"both", rfc9111.Validators{ETag: `"a"`, LastModified: modified}, `"a"`, modified},
		{"weak", rfc9111.Validators{ETag: `W/"a"`}, `W/"a"`, ""},
		{"not a tag: the origin's own", rfc9111.Validators{ETag: "a"}, "a", ""},
		{"as it was written", rfc9111.Validators{LastModified: noon.Format(time.ANSIC)}, "", noon.Format(time.ANSIC)},
		{"not a date", rfc9111.Validators{LastModified: "yesterday"}, "", ""},
		{"Date is no validator", rfc9111.Validators{Date: modified}, "", ""},
	} {
		if tag, date := rfc9111.Conditions(tc.stored); tag != tc.noneMatch || date != tc.modify {
			t.Errorf("%s: %q, %q, want %q, %q", tc.name, tag, date, tc.noneMatch, tc.modify)
		}
	}
}

// RFC 9111 §4.3.4.
func TestValidates(t *testing.T) {
	modified, later := httpDate(noon), httpDate(noon.Add(time.Hour))
	strong := rfc9111.Validators{ETag: `"a"`, LastModified: modified}
	weak := rfc9111.Validators{ETag: `W/"a"`, LastModified: modified}
	dated := rfc9111.Validators{LastModified: modified}
	for _, tc := range []struct {
		name        string
		stored      rfc9111.Validators
		notModified http.Header
		want        bool
	}{
		{"the same strong tag", strong, fields("Etag", `"a"`), true},
		{"whatever the date", strong, fields("Etag", `"a"`, "Last-Modified", later), true},
		{"another strong tag", strong, fields("Etag", `"b"`), false},
		{"whatever the date", strong, fields("Etag", `"b"`, "Last-Modified", modified), false},
		{"a strong tag for a weak one", weak, fields("Etag", `"a"`), false},
		{"a strong tag for none", dated, fields("Etag", `"a"`, "Last-Modified", modified), false},
		{"a weak tag for a strong one", strong, fields("Etag", `W/"a"`), true},
		{"the same weak tag", weak, fields("Etag", ` W/"a"`), true},
		{"another weak tag", weak, fields("Etag", `W/"b"`), false},
		{"the same that isn't a tag", rfc9111.Validators{ETag: "a"}, fields("Etag", "a"), true},
		{"another that isn't a tag", rfc9111.Validators{ETag: "a"}, fields("Etag", "b"), false},
		{"not a tag for a tag", strong, fields("Etag", "a"), false},
		{"the same date", strong, fields("Last-Modified", modified), true},
		{"the same date in another form", dated, fields("Last-Modified", noon.Format(time.ANSIC)), true},
		{"another date", strong, fields("Last-Modified", later), false},
		{"a date for none", rfc9111.Validators{ETag: `"a"`}, fields("Last-Modified", modified), false},
		{"the same that isn't a date", rfc9111.Validators{LastModified: "x"}, fields("Last-Modified", "x"), true},
		{"not a date for a date", dated, fields("Last-Modified", "x"), false},
		{"nothing to compare", strong, fields("Date", later), true},
		{"empty fields", strong, fields("Etag", "", "Last-Modified", " "), true},
		{"nothing for nothing", rfc9111.Validators{}, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.Validates(tc.stored, tc.notModified); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
