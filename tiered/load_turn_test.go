package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// hanging is a loader of a batch that doesn't end for the key "stuck", whatever its context, until it may.
func hanging(began chan<- struct{}, end <-chan struct{}) func(context.Context, []string) (map[string]string, error) {
	return func(ctx context.Context, ids []string) (map[string]string, error) {
		if ids[0] == "stuck" {
			close(began)
			<-end
		}
		return many("v")(ctx, ids)
	}
}

// A batch loads what another caller failed to load, though a load of its own doesn't end: as soon as it doesn't wait for that any
// more.
func TestBatchWithALoadThatHangs(t *testing.T) {
	for name, check := range map[string]struct {
		soft time.Duration
		want string
		took time.Duration
	}{
		"overdue": {0, "map[theirs:v]", 10 * time.Second},
		"served":  {time.Second, "map[stuck:old theirs:v]", time.Second},
	} {
		for _, keys := range [][]string{{"stuck", "theirs"}, {"theirs", "stuck"}} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := tiered.Policy{LoadTimeout: 10 * time.Second}
					if check.soft > 0 {
						p.StaleIfError, p.SoftTimeout = time.Hour, check.soft
					}
					c := newCache(t, tiered.Options[string]{Policy: p})
					if check.soft > 0 {
						set(t, c, "stuck", "old")
						if err := c.Expire(t.Context(), "stuck"); err != nil {
							t.Fatal(err)
						}
					}
					release, began, end := make(chan struct{}), make(chan struct{}), make(chan struct{})
					other := begin(t, c, "theirs", func(context.Context, *tiered.Entry[string]) (string, error) {
						<-release
						return "", errDown
					})
					synctest.Wait()
					start := time.Now()
					batch := begun(func() (string, error) {
						got, err := tiered.GetOrLoadMany(t.Context(), c, keys, self, hanging(began, end))
						if err != nil && !errors.Is(err, context.DeadlineExceeded) {
							t.Error(err)
						}
						return fmt.Sprint(got), nil
					})
					<-began
					close(release)
					if _, err := other.wait(t); !errors.Is(err, errDown) {
						t.Error(err)
					}
					batch.gets(t, check.want)
					if took := time.Since(start); took != check.took {
						t.Errorf("it took %v", took)
					}
					close(end)
				})
			})
		}
	}
}

// So it does with what another process failed to load.
func TestBatchWithALoadThatHangsAndAnotherProcess(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := tiered.Policy{StaleIfError: time.Hour, SoftTimeout: 100 * time.Millisecond}
	there := newProcess(t, s, tiered.RedisOptions{}, tiered.Policy{})
	here := newProcess(t, s, tiered.RedisOptions{}, p)
	for _, keys := range [][]string{{"stuck", "theirs"}, {"theirs", "stuck"}} {
		set(t, here, "stuck", "old")
		if err := here.Expire(t.Context(), "stuck"); err != nil {
			t.Fatal(err)
		}
		if err := here.Delete(t.Context(), "theirs"); err != nil {
			t.Fatal(err)
		}
		release, began, end := make(chan struct{}), make(chan struct{}), make(chan struct{})
		loads := there.Stats().Loads
		other := begin(t, there, "theirs", func(context.Context, *tiered.Entry[string]) (string, error) {
			<-release
			return "", errDown
		})
		waitFor(t, func() bool { return there.Stats().Loads == loads+1 })
		batch := begun(func() (string, error) {
			got, err := tiered.GetOrLoadMany(t.Context(), here, keys, self, hanging(began, end))
			return fmt.Sprint(got), err
		})
		<-began
		close(release)
		if _, err := other.wait(t); !errors.Is(err, errDown) {
			t.Error(err)
		}
		batch.gets(t, "map[stuck:old theirs:v]")
		close(end)
	}
}
