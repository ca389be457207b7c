package rfc9111_test

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9110 §14.1.1, §14.1.2, §14.2.
func TestParseRange(t *testing.T) {
	const whole, one, none = rfc9111.WholeRange, rfc9111.OneRange, rfc9111.NoRange
	for _, tc := range []struct {
		lines []string
		size  int64
		want  rfc9111.Range
		use   rfc9111.RangeUse
	}{
		{nil, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=0-4"}, 10, rfc9111.Range{First: 0, Last: 4}, one},
		{[]string{"Bytes=0-0"}, 10, rfc9111.Range{First: 0, Last: 0}, one},
		{[]string{"bytes=0-9"}, 10, rfc9111.Range{First: 0, Last: 9}, one},
		{[]string{"bytes=5-100"}, 10, rfc9111.Range{First: 5, Last: 9}, one},
		{[]string{"bytes=5-99999999999999999999"}, 10, rfc9111.Range{First: 5, Last: 9}, one},
		{[]string{"bytes=9-"}, 10, rfc9111.Range{First: 9, Last: 9}, one},
		{[]string{"bytes=0-"}, 10, rfc9111.Range{First: 0, Last: 9}, one},
		{[]string{"bytes=-1"}, 10, rfc9111.Range{First: 9, Last: 9}, one},
		{[]string{"bytes=-10"}, 10, rfc9111.Range{First: 0, Last: 9}, one},
		{[]string{"bytes=-99999999999999999999"}, 10, rfc9111.Range{First: 0, Last: 9}, one},
		{[]string{" bytes= 0-4 , "}, 10, rfc9111.Range{First: 0, Last: 4}, one},

		{[]string{"bytes=10-"}, 10, rfc9111.Range{}, none},
		{[]string{"bytes=10-20"}, 10, rfc9111.Range{}, none},
		{[]string{"bytes=99999999999999999999-"}, math.MaxInt64, rfc9111.Range{}, none},
		{[]string{"bytes=-0"}, 10, rfc9111.Range{}, none},
		{[]string{"bytes=0-"}, 0, rfc9111.Range{}, none},
		{[]string{"bytes=-5"}, 0, rfc9111.Range{}, whole},

		{[]string{"bytes=4-3"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=0-1,3-4"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=0-1", "bytes=0-1"}, 10, rfc9111.Range{}, whole},
		{[]string{"lines=0-1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes 0-1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes =0-1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes="}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=-"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=--1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=0-1-2"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=0 -1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=+0-1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=0x0-1"}, 10, rfc9111.Range{}, whole},
		{[]string{"bytes=0-1"}, -1, rfc9111.Range{}, whole},
	} {
		if got, use := rfc9111.ParseRange(tc.lines, tc.size); got != tc.want || use != tc.use {
			t.Errorf("%q of %d: %v, %v, want %v, %v", tc.lines, tc.size, got, use, tc.want, tc.use)
		}
	}
}

// RFC 9110 §14.4.
func TestContentRange(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  rfc9111.Range
		size  int64
		ok    bool
	}{
		{"bytes 0-4/10", rfc9111.Range{First: 0, Last: 4}, 10, true},
		{"BYTES 9-9/10", rfc9111.Range{First: 9, Last: 9}, 10, true},
		{"bytes 5-9/*", rfc9111.Range{First: 5, Last: 9}, -1, true},
		{"bytes */10", rfc9111.Range{}, 0, false},
		{"bytes 0-10/10", rfc9111.Range{}, 0, false},
		{"bytes 4-3/10", rfc9111.Range{}, 0, false},
		{"bytes 0-/10", rfc9111.Range{}, 0, false},
		{"bytes -4/10", rfc9111.Range{}, 0, false},
		{"bytes 0-4", rfc9111.Range{}, 0, false},
		{"bytes 0-4/", rfc9111.Range{}, 0, false},
		{"bytes=0-4/10", rfc9111.Range{}, 0, false},
		{"bytes  0-4/10", rfc9111.Range{}, 0, false},
		{"lines 0-4/10", rfc9111.Range{}, 0, false},
		{"bytes 0-4/-1", rfc9111.Range{}, 0, false},
		{"bytes 0-99999999999999999999/99999999999999999999", rfc9111.Range{}, 0, false},
		{"", rfc9111.Range{}, 0, false},
	} {
		got, size, ok := rfc9111.ParseContentRange([]string{tc.value})
		if got != tc.want || size != tc.size || ok != tc.ok {
			t.Errorf("%q: %v, %d, %v, want %v, %d, %v", tc.value, got, size, ok, tc.want, tc.size, tc.ok)
		}
	}
	for _, lines := range [][]string{nil, {"bytes 0-4/10", "bytes 0-4/10"}} {
		if _, _, ok := rfc9111.ParseContentRange(lines); ok {
			t.Errorf("%q is valid", lines)
		}
	}
	if got := (rfc9111.Range{First: 5, Last: 9}).ContentRange(10); got != "bytes 5-9/10" {
		t.Error(got)
	}
	if got := (rfc9111.Range{First: 5, Last: 9}).ContentRange(-1); got != "bytes 5-9/*" {
		t.Error(got)
	}
}

// RFC 9110 §13.1.5, §8.8.2.2.
func TestRangeApplies(t *testing.T) {
	modified := httpDate(noon)
	stored := rfc9111.Validators{ETag: `"a"`, LastModified: modified, Date: httpDate(noon.Add(time.Second))}
	for _, tc := range []struct {
		name    string
		request http.Header
		stored  rfc9111.Validators
		want    bool
	}{
		{"without If-Range", nil, stored, true},
		{"the tag", fields("If-Range", `"a"`), stored, true},
		{"another tag", fields("If-Range", `"b"`), stored, false},
		{"a weak tag", fields("If-Range", `W/"a"`), stored, false},
		{"a weak tag in the store", fields("If-Range", `W/"a"`), rfc9111.Validators{ETag: `W/"a"`}, false},
		{"the tag of a weak one", fields("If-Range", `"a"`), rfc9111.Validators{ETag: `W/"a"`}, false},
		{"no tag in the store", fields("If-Range", `"a"`), rfc9111.Validators{LastModified: modified}, false},
		{"the date", fields("If-Range", modified), stored, true},
		{"a later date", fields("If-Range", stored.Date), stored, false},
		{"the same date in another form", fields("If-Range", noon.Format(time.ANSIC)), stored, false},
		{"§8.8.2.2 it may have changed since", fields("If-Range", modified), rfc9111.Validators{LastModified: modified, Date: modified}, false},
		{"§8.8.2.2 without Date", fields("If-Range", modified), rfc9111.Validators{LastModified: modified}, false},
		{"no date in the store", fields("If-Range", modified), rfc9111.Validators{ETag: `"a"`}, false},
		{"no date at all", fields("If-Range", "x"), rfc9111.Validators{LastModified: "x", Date: stored.Date}, false},
		{"an unquoted tag", fields("If-Range", "a"), rfc9111.Validators{ETag: "a"}, false},
		{"empty", fields("If-Range", ""), rfc9111.Validators{}, false},
		{"two", fields("If-Range", `"a"`, "If-Range", `"a"`), stored, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.RangeApplies(tc.request, tc.stored); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-4", "bytes=-5", "bytes=5-", "bytes=0-0,5-6", "bytes=-0", "bytes=99999999999999999999-", "Bytes= ,1-1,", "lines=1-2"} {
		f.Add(s, int64(10))
	}
	f.Add("bytes=-5", int64(0))
	f.Add("bytes=0-", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, value string, size int64) {
		r, use := rfc9111.ParseRange([]string{value}, size)
		if use != rfc9111.OneRange {
			if r != (rfc9111.Range{}) {
				t.Errorf("%q of %d: %v, %v", value, size, r, use)
			}
			return
		}
		if r.First < 0 || r.First > r.Last || r.Last >= size {
			t.Errorf("%q of %d: %v isn't within", value, size, r)
		}
		same, total, ok := rfc9111.ParseContentRange([]string{r.ContentRange(size)})
		if same != r || total != size || !ok {
			t.Errorf("%s is read as %v of %d, %v", r.ContentRange(size), same, total, ok)
		}
		again, use := rfc9111.ParseRange([]string{"bytes=" + strconv.FormatInt(r.First, 10) + "-" + strconv.FormatInt(r.Last, 10)}, size)
		if again != r || use != rfc9111.OneRange {
			t.Errorf("%q of %d: %v, then %v, %v", value, size, r, again, use)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-4/10", "bytes 5-9/*", "bytes */10", "bytes 9-0/1", "bytes 0-99999999999999999999/*", "Bytes 1-1/2 ", "bytes 0-9/10/11"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r, size, ok := rfc9111.ParseContentRange([]string{value})
		if !ok {
			if r != (rfc9111.Range{}) || size != 0 {
				t.Errorf("%q: %v of %d", value, r, size)
			}
			return
		}
		if r.First < 0 || r.First > r.Last || size != -1 && r.Last >= size {
			t.Errorf("%q: %v isn't within %d", value, r, size)
		}
		if again, total, ok := rfc9111.ParseContentRange([]string{r.ContentRange(size)}); again != r || total != size || !ok {
			t.Errorf("%q: %v of %d, then %v of %d, %v", value, r, size, again, total, ok)
		}
	})
}
