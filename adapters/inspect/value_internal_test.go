package inspect

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("no") }

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

func TestValueText(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{map[string]int{"b": 1, "a": 2}, "{\n  \"a\": 2,\n  \"b\": 1\n}"},
		{"<b>&", `"<b>&"`},
		{[]byte(`{"a":1}`), "{\n  \"a\": 1\n}"},
		{[]byte("text"), "text"},
		{[]byte{0xff, 0}, `"\xff\x00"`},
		{json.RawMessage(`[1]`), "[\n  1\n]"},
		{panics{}, "a inspect.panics whose methods panic: no"},
		{failing{}, "{}"},
	} {
		if got := valueText(c.v); got != c.want {
			t.Errorf("%T: %q, want %q", c.v, got, c.want)
		}
	}
	for _, large := range []any{strings.Repeat("ä", maxValue), make([]byte, 10*maxValue), make([]int, maxValue)} {
		if got := valueText(large); len(got) > maxValue+100 || !strings.HasSuffix(got, "bytes") {
			t.Errorf("%T: %d bytes that end in %q", large, len(got), got[len(got)-50:])
		}
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"user:42": "user:42", "naïve": "naïve", "a\x00b": `"a\x00b"`, "\xff": `"\xff"`, "\u202ex": "\"\\u202ex\"", strings.Repeat("k", 300): strings.Repeat("k", 200) + "… (300 bytes)",
	} {
		if got := shown(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	for in, want := range map[time.Duration]string{
		49*time.Hour + time.Minute: "2d1h", 61 * time.Minute: "1h1m", 90 * time.Second: "1m30s", -1500 * time.Millisecond: "-1.5s", 1234 * time.Microsecond: "1.23ms", 0: "0s",
	} {
		if got := ago(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}
