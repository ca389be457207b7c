package codec

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors of the specification, https://c2sp.org/XAES-256-GCM.
func TestXAES(t *testing.T) {
	nonce := [nonceSize]byte([]byte("ABCDEFGHIJKLMNOPQRSTUVWX"))
	for _, v := range []struct {
		key        byte
		data, want string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x := newXAES(bytes.Repeat([]byte{v.key}, secretSize))
		if got := hex.EncodeToString(x.aead(&nonce).Seal(nil, nonce[derivedFrom:], []byte("XAES-256-GCM"), []byte(v.data))); got != v.want {
			t.Errorf("key %d: %s, want %s", v.key, got, v.want)
		}
	}
}
