package inspect_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tiercache/tiercache/adapters/inspect"
	"github.com/tiercache/tiercache/tiered"
)

// onlyOperators allows the people who know the password. A real service asks who is signed in.
func onlyOperators(r *http.Request) error {
	if _, password, _ := r.BasicAuth(); password != "open sesame" {
		return fmt.Errorf("no operator")
	}
	return nil
}

func Example() {
	users, err := tiered.New(tiered.Options[user]{Name: "users"})
	if err != nil {
		log.Fatal(err)
	}
	defer users.Close()
	inspector, err := inspect.New(inspect.Options{
		Caches:      []inspect.Cache{users},
		AllowWrites: true,
		Authorize:   onlyOperators,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/cache/", http.StripPrefix("/debug/cache", inspector))

	for _, password := range []string{"", "open sesame"} {
		r := httptest.NewRequest("GET", "/debug/cache/key?c=users&key=42", nil)
		r.SetBasicAuth("ada", password)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		page, _ := io.ReadAll(w.Body)
		fmt.Println(w.Code, strings.Contains(string(page), "A read now: miss"))
	}
	// Output:
	// 403 false
	// 200 true
}
