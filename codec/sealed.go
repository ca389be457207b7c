package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
)

// SealKey is a secret key of [Sealed].
type SealKey struct {
	ID     string // is stored with each value and isn't secret: 1 to 255 bytes
	Secret []byte // 32 bytes, which must be random: passwords aren't
}

const secretSize = 32

// Sealed returns a codec that encrypts the output of inner and authenticates it, so that who can read Redis can't read values, and
// who can write to it can't make or change them. The first key seals; values that any of the keys has sealed can be opened. The name
// is sealed(inner's name); a nil inner is [JSON]. It returns an error if there is no key, if a secret isn't 32 bytes, or if an ID is empty,
// longer than 255 bytes or that of two keys.
//
// To change the key, first give all processes the new one behind the old one, then the new one in front, and drop the old one when
// the values that it sealed are gone. Values whose key a process doesn't have are misses, and count as Stats.CodecErrors of the cache.
//
// A value is bound to the name of its cache and its key: moved to another key, it can't be opened. So the codec works only as Options.Codec
// of a cache, or wherever else somebody calls Bind, and must be the outermost: Sealed(Zstd(JSON)) is right, while Zstd(Sealed(JSON))
// is an error of the cache's New.
//
// What is hidden is the value. Keys, tags, times, sizes, and the fact that a source has nothing for a key are in Redis as they are with any
// codec. Who can write to Redis can also delete values, bring back an older value of the same key, and make a value fresh for longer.
//
// The cipher is XAES-256-GCM (C2SP): AES-256-GCM of the standard library, with a key derived for each value from the first half of
// a random nonce of 24 bytes. The nonces of plain AES-GCM, of 12 bytes, may be drawn at random 4 billion times only (NIST SP 800-38D,
// section 8.3), which a cache can reach in days; these suffice for ever. A stored value is a byte with the ID's length, the ID,
// the nonce, and the ciphertext with its tag of 16 bytes. The additional data are "tiercache sealed 1", inner's name, the name of
// the cache and the key, each but the last with its length before it, in 4 bytes.
func Sealed(inner Codec, keys ...SealKey) (Codec, error) {
	if inner == nil {
		inner = JSON
	}
	if len(keys) == 0 {
		return nil, errors.New("codec: Sealed has no key: want one at least")
	}
	s := &sealed{inner: inner, innerName: inner.Name(), seal: keys[0].ID, open: make(map[string]*xaes, len(keys))}
	for _, k := range keys {
		switch {
		case len(k.ID) == 0 || len(k.ID) > 255:
			return nil, fmt.Errorf("codec: Sealed has a key with the ID %.300q: want 1 to 255 bytes", k.ID)
		case len(k.Secret) != secretSize:
			return nil, fmt.Errorf("codec: Sealed's key %q has a Secret of %d bytes: want %d", k.ID, len(k.Secret), secretSize)
		case s.open[k.ID] != nil:
			return nil, fmt.Errorf("codec: Sealed has two keys with the ID %q: want each ID once", k.ID)
		}
		s.open[k.ID] = newXAES(k.Secret)
	}
	return s, nil
}

// sealed is the codec for no key in particular, which can't encode or decode anything.
type sealed struct {
	inner     Codec
	innerName string
	seal      string // the ID of the key that seals
	open      map[string]*xaes
}

var errNotBound = errors.New("it seals values for a key, and wasn't given one: want it as a cache's Options.Codec, with all other codecs inside it")

func (s *sealed) Name() string { return "sealed(" + s.innerName + ")" }

func (s *sealed) Marshal(v any) ([]byte, error) { return nil, s.notBound(v) }

func (s *sealed) Unmarshal(_ []byte, v any) error { return s.notBound(v) }

func (s *sealed) notBound(v any) error {
	return &TypeError{Codec: s.Name(), Type: reflect.TypeOf(v), Err: errNotBound}
}

// Bind implements [Binder].
func (s *sealed) Bind(cache, key string) Codec { return &sealedAt{sealed: s, cache: cache, key: key} }

// sealedAt is the codec for a key of a cache.
type sealedAt struct {
	*sealed
	cache, key string
}

func (s *sealedAt) Marshal(v any) ([]byte, error) { return marshalAppended(s, v) }

func (s *sealedAt) Append(dst []byte, v any) ([]byte, error) {
	plain, data := newBuffer(), newBuffer()
	defer plain.free()
	defer data.free()
	encoded, err := Append(Bind(s.inner, s.cache, s.key), plain.b, v)
	if err != nil {
		return nil, err
	}
	plain.b = encoded
	data.b = s.appendData(data.b)
	dst = append(append(dst, byte(len(s.seal))), s.seal...)
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return s.open[s.seal].aead(&nonce).Seal(append(dst, nonce[:]...), nonce[derivedFrom:], plain.b, data.b), nil
}

var (
	errUnsealed   = errors.New("it isn't sealed")
	errSealBroken = errors.New("it was sealed for another cache, key or codec, or changed since")
)

func (s *sealedAt) Unmarshal(b []byte, v any) error {
	if len(b) == 0 {
		return s.failed(errUnsealed)
	}
	idEnd := 1 + int(b[0])
	if len(b) < idEnd+nonceSize {
		return s.failed(errUnsealed)
	}
	id, b := b[1:idEnd], b[idEnd:]
	key := s.open[string(id)]
	if key == nil {
		return s.failed(fmt.Errorf("it isn't sealed, or with a key %.50q that isn't among this codec's", id))
	}
	nonce, b := [nonceSize]byte(b), b[nonceSize:]
	inner := Bind(s.inner, s.cache, s.key)
	plain, data := newDecodeBuffer(inner, len(b)), newBuffer()
	defer plain.free()
	defer data.free()
	data.b = s.appendData(data.b)
	opened, err := key.aead(&nonce).Open(plain.b, nonce[derivedFrom:], b, data.b)
	if err != nil {
		return s.failed(errSealBroken)
	}
	return UnmarshalAlias(inner, opened, v)
}

func (s *sealedAt) failed(err error) error { return fmt.Errorf("codec: open %s: %w", s.Name(), err) }

// appendData appends the additional data, to which the seal binds the value.
func (s *sealedAt) appendData(b []byte) []byte {
	for _, part := range [...]string{"tiercache sealed 1", s.innerName, s.cache} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return append(b, s.key...)
}

const (
	nonceSize   = 24
	derivedFrom = 12 // bytes of the nonce from which the key is derived; the rest is the nonce of AES-GCM
)

// xaes is XAES-256-GCM (C2SP, https://c2sp.org/XAES-256-GCM). The key for a nonce is the CMAC (NIST SP 800-108, in counter mode) of a
// message that begins with a counter and ends with the nonce's first half.
type xaes struct {
	block  cipher.Block
	subkey [aes.BlockSize]byte // K1 of CMAC
}

func newXAES(secret []byte) *xaes {
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic(err) // the secret's size was checked
	}
	x := &xaes{block: block}
	block.Encrypt(x.subkey[:], x.subkey[:])
	carry := byte(0)
	for i := len(x.subkey) - 1; i >= 0; i-- {
		b := x.subkey[i]
		x.subkey[i], carry = b<<1|carry, b>>7
	}
	x.subkey[len(x.subkey)-1] ^= carry * 0x87
	return x
}

// aead returns AES-256-GCM with the key for the nonce.
func (x *xaes) aead(nonce *[nonceSize]byte) cipher.AEAD {
	var key [secretSize]byte
	for i := range byte(2) {
		half := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(half, []byte{0, i + 1, 'X', 0})
		copy(half[4:], nonce[:derivedFrom])
		for j := range half {
			half[j] ^= x.subkey[j]
		}
		x.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return aead
}
