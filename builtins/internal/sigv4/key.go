package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"time"
)

// Key is the secret of an access key, with what was derived from it lately. Safe for
// concurrent use, by verifiers of any region and service.
type Key struct {
	secret, token string
	expires       time.Time

	// The keys of days one after the other stand in different places; a key of
	// another day, or for another verifier, takes the place of the one before.
	derived [8]atomic.Pointer[derived]
}

// derived is the key for one scope.
type derived struct {
	scope string
	key   [sha256.Size]byte
}

// NewKey returns the key with this secret. token is the session token that has to
// come with it, "" for none; after expires it is no longer good, if that isn't zero.
func NewKey(secret, token string, expires time.Time) *Key {
	return &Key{secret: secret, token: token, expires: expires}
}

// signing returns the signing key for scope, whose date is when's. AWS: "Derive a
// signing key".
func (k *Key) signing(when time.Time, scope string) [sha256.Size]byte {
	slot := &k.derived[uint64(when.Unix()/(24*60*60))%uint64(len(k.derived))]
	if d := slot.Load(); d != nil && d.scope == scope {
		return d.key
	}
	d := &derived{scope: strings.Clone(scope)}
	var scratch [128]byte
	text := func(s string) []byte { return append(scratch[:0], s...) }
	date, rest, _ := strings.Cut(scope, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, end, _ := strings.Cut(rest, "/")
	d.key = macOf([]byte("AWS4"+k.secret), text(date))
	for _, part := range [...]string{region, service, end} {
		d.key = mac(&d.key, text(part))
	}
	slot.Store(d)
	return d.key
}

// mac is HMAC-SHA256 with a key of the hash's own length. RFC 2104. It needs no
// memory but that of text, where crypto/hmac makes two hashes for each call.
func mac(key *[sha256.Size]byte, text []byte) [sha256.Size]byte { return macOf(key[:], text) }

func macOf(key, text []byte) [sha256.Size]byte {
	const innerPad, outerPad = 0x36, 0x5c
	var short [sha256.Size]byte
	if len(key) > sha256.BlockSize {
		short = sha256.Sum256(key)
		key = short[:]
	}
	var block [sha256.BlockSize + sha256.Size]byte
	copy(block[:], key)
	for i := range sha256.BlockSize {
		block[i] ^= innerPad
	}
	inner := sha256.New()
	inner.Write(block[:sha256.BlockSize])
	inner.Write(text)
	for i := range sha256.BlockSize {
		block[i] ^= innerPad ^ outerPad
	}
	inner.Sum(block[:sha256.BlockSize])
	return sha256.Sum256(block[:])
}

// isDigest reports whether text is sum in hexadecimal, in the same time for all texts
// of its length.
func isDigest(text string, sum [sha256.Size]byte) bool {
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], sum[:])
	return same(text, digits[:])
}

// same compares in a time that only depends on the lengths. It is
// subtle.ConstantTimeCompare for a string, which would have to be copied for that.
func same[T string | []byte](a string, b T) bool {
	if len(a) != len(b) {
		return false
	}
	var differ byte
	for i := range len(a) {
		differ |= a[i] ^ b[i]
	}
	return subtle.ConstantTimeByteEq(differ, 0) == 1
}
