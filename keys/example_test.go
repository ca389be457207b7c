package keys_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/tiercache/tiercache/keys"
)

func ExampleJoin() {
	fmt.Println(keys.Join("user", "42"))
	fmt.Println(keys.Join("a:b", "c"))
	fmt.Println(keys.Join("a", "b:c"))
	// Output:
	// user:42
	// a%3Ab:c
	// a:b%3Ac
}

func ExampleDigest() {
	type options struct {
		Text string
		Tags map[string]bool
	}
	a := keys.Digest(options{"go", map[string]bool{"cache": true, "redis": false}})
	b := keys.Digest(options{"go", map[string]bool{"redis": false, "cache": true}})
	c := keys.Digest(options{Text: "go"})
	fmt.Println(len(a), a == b, a == c)
	// Output: 32 true false
}

func ExampleRequest() {
	for _, target := range []string{"/api/v1/users?skip=0&limit=20", "/api/v1/users?limit=20&skip=0", "/items?id=2&id=1"} {
		fmt.Println(keys.Request(httptest.NewRequest("GET", target, nil)))
	}
	// Output:
	// get:/api/v1/users:limit=20&skip=0
	// get:/api/v1/users:limit=20&skip=0
	// get:/items:id=2&id=1
}

func ExampleHostRequest() {
	fmt.Println(keys.HostRequest(httptest.NewRequest("GET", "http://localhost:8080/api/v1/users?skip=0&limit=20", nil)))
	// Output: get://localhost:8080/api/v1/users:limit=20&skip=0
}
