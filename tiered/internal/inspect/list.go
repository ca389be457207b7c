package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tiercache/tiercache/internal/scan"
	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/local"
)

const (
	maxPage     = 1_000   // names
	maxTagged   = 100     // keys of entries with a tag
	maxExamined = 150_000 // entries that are looked at for a tag, which takes about 30 ms
	maxListed   = 30_000  // entries after which a page of keys ends with the present part, found or not
)

// Keys returns a page of about n of the keys that begin with the prefix.
func (t *Tiers[T]) Keys(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	if t.Remote != nil {
		return t.scan(ctx, t.Remote.Keys.Value(""), prefix, cursor, n)
	}
	return t.localKeys(prefix, cursor, n)
}

// localKeys returns a page of the local tier's keys. Their order is that of the tier's parts, and in a part that of the names.
func (t *Tiers[T]) localKeys(prefix, cursor string, n int) (p inspection.Page, err error) {
	if err := checkSize(n); err != nil {
		return p, err
	}
	from, after, err := parsePlace(cursor)
	if err != nil {
		return p, err
	}
	t.Local.EachPart(from, func(part int, items []*local.Item[T]) bool {
		if len(p.Names) >= n || p.Examined >= maxListed {
			p.Next = place(part, "")
			return false
		}
		p.Examined += len(items)
		begin := len(p.Names)
		for _, it := range items {
			if strings.HasPrefix(it.Key, prefix) && (part > from || it.Key > after) {
				p.Names = append(p.Names, it.Key)
			}
		}
		slices.Sort(p.Names[begin:])
		if len(p.Names) <= n {
			return true
		}
		p.Names = p.Names[:n]
		p.Next = place(part, p.Names[n-1])
		return false
	})
	return p, nil
}

// place is the cursor after a key of a part of the local tier; "": at its beginning.
func place(part int, key string) string { return strconv.Itoa(part) + ":" + key }

// parsePlace returns what place has made a cursor of, or for "" the beginning.
func parsePlace(cursor string) (part int, after string, err error) {
	if cursor == "" {
		return 0, "", nil
	}
	digits, after, found := strings.Cut(cursor, ":")
	if part, err = strconv.Atoi(digits); err != nil || !found || part < 0 || part >= local.Parts {
		return 0, "", fmt.Errorf("tiered: %w", scan.ErrCursor)
	}
	return part, after, nil
}

// Tags returns a page of about n of the tags that begin with the prefix.
func (t *Tiers[T]) Tags(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	if t.Remote != nil {
		return t.scan(ctx, t.Remote.Keys.Tag(""), prefix, cursor, n)
	}
	return pageOf(prefix, cursor, n, t.Index.Names)
}

// scan returns the names that follow a kind's prefix in Redis's keys.
func (t *Tiers[T]) scan(ctx context.Context, kind, prefix, cursor string, n int) (p inspection.Page, err error) {
	if err := checkSize(n); err != nil {
		return p, err
	}
	s, err := t.Remote.Conn.Scan(ctx, scan.Pattern(kind+prefix), cursor, n)
	p.Next, p.Examined = s.Next, s.Examined
	for _, key := range s.Keys {
		if name := strings.TrimPrefix(key, kind); name != "" {
			p.Names = append(p.Names, name)
		}
	}
	return p, err
}

// pageOf returns the first n of the names that each adds, begin with the prefix and follow the cursor. The cursor of the next page is the
// last of them.
func pageOf(prefix, cursor string, n int, each func(add func(string))) (p inspection.Page, err error) {
	if err := checkSize(n); err != nil {
		return p, err
	}
	beyond := "" // names from here on aren't among the first n; "": that isn't known yet
	each(func(name string) {
		p.Examined++
		if name <= cursor || beyond != "" && name >= beyond || !strings.HasPrefix(name, prefix) {
			return
		}
		if p.Names = append(p.Names, name); len(p.Names) == 8*(n+1) {
			slices.Sort(p.Names)
			beyond, p.Names = p.Names[n], p.Names[:n+1]
		}
	})
	slices.Sort(p.Names)
	if len(p.Names) > n {
		p.Names, p.Next = p.Names[:n], p.Names[n-1]
	}
	return p, nil
}

func checkSize(n int) error {
	if n < 1 || n > maxPage {
		return fmt.Errorf("tiered: a page of %d: want 1 to %d", n, maxPage)
	}
	return nil
}

// Tag reports what is known of a tag.
func (t *Tiers[T]) Tag(ctx context.Context, tag string) inspection.Tag {
	y := inspection.Tag{Tag: tag}
	states, err := t.Index.Look(ctx, []string{tag})
	if y.Err = err; err == nil {
		y.Count = states.Count
		if s := states.Tags[0]; s != nil {
			y.Known, y.Invalidations, y.Expiry, y.TTL = true, s.Seq, s.Expiry, states.TTLs[0]
		}
	}
	t.Local.Each(func(it *local.Item[T]) bool {
		y.Examined++
		if slices.Contains(it.Record.Tags, tag) {
			y.Local = append(y.Local, it.Key)
		}
		return len(y.Local) < maxTagged && y.Examined < maxExamined
	})
	slices.Sort(y.Local)
	return y
}
