package connect_test

import (
	"strings"
	"testing"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
)

func TestParse(t *testing.T) {
	for url, want := range map[string]string{
		"redis://app:secret@host:1/2":                                     "single host:1",
		"rediss://app:secret@host":                                        "single host:6379 with TLS",
		"unix:///run/redis.sock":                                          "single /run/redis.sock",
		"redis://app:secret@host:26379?master_name=main&addr=other:26379": "sentinel main of host:26379 other:26379",
		"redis://app:secret@host:1?addr=other:2":                          "cluster host:1 other:2",
		"http://host":                                                     "",
		"redis://app:secret@host:1?none=1":                                "",
		"redis://app:secret%@host:1":                                      "",
	} {
		target, err := connect.Parse(url)
		got := ""
		switch {
		case target.Single != nil && target.Single.TLSConfig != nil:
			got = "single " + target.Single.Addr + " with TLS"
		case target.Single != nil:
			got = "single " + target.Single.Addr
		case target.Sentinel != nil:
			got = "sentinel " + target.Sentinel.MasterName + " of " + strings.Join(target.Sentinel.SentinelAddrs, " ")
		case target.Cluster != nil:
			got = "cluster " + strings.Join(target.Cluster.Addrs, " ")
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", url, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") || strings.Contains(target.Name, "secret") {
			t.Errorf("the password is shown: %s, %v", target.Name, err)
		}
	}
}
