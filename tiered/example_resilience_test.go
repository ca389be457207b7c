package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

// A value past its TTL is served at once, while the next one is loaded.
func ExamplePolicy_staleWhileRevalidate() {
	ctx := context.Background()
	prices, _ := tiered.New(tiered.Options[int]{
		Name:   "prices",
		Policy: tiered.Policy{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour},
	})
	defer prices.Close()
	_ = prices.Set(ctx, "apple", 3)
	time.Sleep(2 * time.Millisecond)

	loaded := make(chan struct{})
	load := func(context.Context, *tiered.Entry[int]) (int, error) {
		defer close(loaded)
		return 4, nil
	}
	price, err := prices.GetOrLoad(ctx, "apple", load)
	fmt.Println(price, err)
	<-loaded
	// Output: 3 <nil>
}

// A source that fails goes unnoticed for as long as there is a value that isn't too old, and isn't asked each time.
func ExamplePolicy_staleIfError() {
	ctx := context.Background()
	prices, _ := tiered.New(tiered.Options[int]{
		Name:   "prices",
		Policy: tiered.Policy{TTL: time.Millisecond, StaleIfError: 24 * time.Hour, RetryAfter: time.Minute},
	})
	defer prices.Close()
	_ = prices.Set(ctx, "apple", 3)
	time.Sleep(2 * time.Millisecond)

	load := func(context.Context, *tiered.Entry[int]) (int, error) {
		fmt.Println("the source is asked")
		return 0, errors.New("the source is down")
	}
	for range 3 {
		price, err := prices.GetOrLoad(ctx, "apple", load)
		fmt.Println(price, err)
	}
	_, err := prices.GetOrLoad(ctx, "pear", load)
	fmt.Println(err)
	// Output:
	// the source is asked
	// 3 <nil>
	// 3 <nil>
	// 3 <nil>
	// the source is asked
	// the source is down
}

// A source that can do two things at a time is never asked for more. What can't wait gets the stale value, or an error.
func ExampleOptions_maxLoads() {
	ctx := context.Background()
	reports, _ := tiered.New(tiered.Options[string]{
		Name:     "reports",
		MaxLoads: 2,
		Policy:   tiered.Policy{StaleIfError: time.Hour, LoadTimeout: 50 * time.Millisecond},
	})
	defer reports.Close()
	_ = reports.Set(ctx, "may", "the report of May")
	_ = reports.Expire(ctx, "may")

	end := make(chan struct{})
	var running sync.WaitGroup
	for _, month := range []string{"june", "july"} {
		running.Go(func() {
			_, _ = reports.GetOrLoad(ctx, month, func(context.Context, *tiered.Entry[string]) (string, error) {
				<-end // though its context ends after LoadTimeout
				return "", errors.New("too late")
			})
		})
	}
	for reports.Stats().LoadsRunning < 2 {
		time.Sleep(time.Millisecond)
	}
	load := func(context.Context, *tiered.Entry[string]) (string, error) { return "a new report", nil }
	report, err := reports.GetOrLoad(ctx, "may", load)
	fmt.Println(report, err)
	_, err = reports.GetOrLoad(ctx, "august", load)
	fmt.Println(errors.Is(err, tiered.ErrOverloaded))
	close(end)
	running.Wait()
	// Output:
	// the report of May <nil>
	// true
}

// A value that is asked for is replaced before its TTL is over: nobody waits for a load.
func ExamplePolicy_refreshAfter() {
	ctx := context.Background()
	prices, _ := tiered.New(tiered.Options[int]{
		Name:   "prices",
		Policy: tiered.Policy{TTL: time.Hour, RefreshAfter: time.Millisecond},
	})
	defer prices.Close()
	_ = prices.Set(ctx, "apple", 3)
	time.Sleep(2 * time.Millisecond)

	load := func(_ context.Context, e *tiered.Entry[int]) (int, error) {
		e.Policy.RefreshAfter = time.Minute // the source may say how long its answer is good
		return e.Value + 1, nil
	}
	price, err := prices.GetOrLoad(ctx, "apple", load)
	fmt.Println(price, err)
	for price == 3 {
		price, err = prices.GetOrLoad(ctx, "apple", load)
	}
	fmt.Println(price, err)
	// Output:
	// 3 <nil>
	// 4 <nil>
}

// A caller waits for SoftTimeout, and then takes the stale value. The load goes on, and the next call has its result.
func ExamplePolicy_softTimeout() {
	ctx := context.Background()
	prices, _ := tiered.New(tiered.Options[int]{
		Name:   "prices",
		Policy: tiered.Policy{TTL: 10 * time.Second, StaleIfError: time.Hour, SoftTimeout: 10 * time.Millisecond},
	})
	defer prices.Close()
	_ = prices.Set(ctx, "apple", 3)
	_ = prices.Expire(ctx, "apple")

	answer := make(chan int)
	load := func(context.Context, *tiered.Entry[int]) (int, error) { return <-answer, nil }
	price, err := prices.GetOrLoad(ctx, "apple", load)
	fmt.Println(price, err)

	answer <- 4
	for price == 3 {
		price, err = prices.GetOrLoad(ctx, "apple", load)
	}
	fmt.Println(price, err)
	// Output:
	// 3 <nil>
	// 4 <nil>
}

// Callers don't wait until Redis has what was loaded; Close does.
func ExamplePolicy_storeBehind() {
	ctx := context.Background()
	prices, _ := tiered.New(tiered.Options[int]{
		Name:   "prices",
		Policy: tiered.Policy{StoreBehind: true}, // Redis left out here
	})
	load := func(context.Context, *tiered.Entry[int]) (int, error) { return 3, nil }
	price, err := prices.GetOrLoad(ctx, "apple", load)
	fmt.Println(price, err)
	fmt.Println(prices.Close())
	// Output:
	// 3 <nil>
	// <nil>
}

// Page is an HTTP response with its validator.
type Page struct{ Body, ETag string }

// A source that knows whether a value has changed needn't send it again: the loader returns the one that is there.
func ExampleLoader_conditional() {
	version := `"1"`
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", version)
		if r.Header.Get("If-None-Match") == version {
			fmt.Println("not modified")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Println("sent", version)
		fmt.Fprint(w, "the page ", version)
	}))
	defer source.Close()

	load := func(ctx context.Context, e *tiered.Entry[Page]) (Page, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, source.URL+"/"+e.Key, http.NoBody)
		if err != nil {
			return Page{}, err
		}
		if e.Found {
			request.Header.Set("If-None-Match", e.Value.ETag)
		}
		response, err := source.Client().Do(request)
		if err != nil {
			return Page{}, err
		}
		defer response.Body.Close()
		switch response.StatusCode {
		case http.StatusNotModified:
			return e.Value, nil
		case http.StatusNotFound:
			return Page{}, tiered.ErrNotFound
		case http.StatusOK:
			body, err := io.ReadAll(response.Body)
			return Page{string(body), response.Header.Get("ETag")}, err
		}
		return Page{}, fmt.Errorf("%s: %s", request.URL, response.Status)
	}

	ctx := context.Background()
	pages, _ := tiered.New(tiered.Options[Page]{Name: "pages", Policy: tiered.Policy{StaleIfError: time.Hour}})
	defer pages.Close()
	get := func() {
		page, err := pages.GetOrLoad(ctx, "index.html", load)
		fmt.Println(page.Body, err)
	}
	get()
	_ = pages.Expire(ctx, "index.html") // or its TTL is over
	get()
	version = `"2"`
	_ = pages.Expire(ctx, "index.html")
	get()
	// Output:
	// sent "1"
	// the page "1" <nil>
	// not modified
	// the page "1" <nil>
	// sent "2"
	// the page "2" <nil>
}

// tenantKey is the context's key for a request's tenant.
type tenantKey struct{}

// The context of a loader has the values of one request, and serves the callers of all. What the value depends on is part of
// the key, and read from there; transactions, spans and frameworks' contexts in it may have ended.
func ExampleLoader_context() {
	cache, _ := tiered.New(tiered.Options[string]{Name: "greetings"})
	defer cache.Close()

	load := func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
		tenant, _, _ := strings.Cut(e.Key, ":") // not ctx.Value(tenantKey{})
		return "Welcome to " + tenant, nil
	}
	for _, tenant := range []string{"acme", "initech"} {
		ctx := context.WithValue(context.Background(), tenantKey{}, tenant)
		greeting, err := cache.GetOrLoad(ctx, keys.Join(tenant, "greeting"), load)
		fmt.Println(greeting, err)
	}
	// Output:
	// Welcome to acme <nil>
	// Welcome to initech <nil>
}
