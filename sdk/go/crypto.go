//go:build wasip1

package postern

import (
	"unsafe"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Algorithm is a digest.
type Algorithm int32

// The digests.
const (
	MD5    Algorithm = abi.MD5
	SHA1   Algorithm = abi.SHA1
	SHA256 Algorithm = abi.SHA256
	SHA384 Algorithm = abi.SHA384
	SHA512 Algorithm = abi.SHA512
)

// Signature is how something is signed, named as in RFC 7518 and RFC 8037.
type Signature int32

// The signatures.
const (
	RS256 Signature = abi.RS256
	RS384 Signature = abi.RS384
	RS512 Signature = abi.RS512
	PS256 Signature = abi.PS256
	PS384 Signature = abi.PS384
	PS512 Signature = abi.PS512
	ES256 Signature = abi.ES256
	ES384 Signature = abi.ES384
	ES512 Signature = abi.ES512
	EdDSA Signature = abi.EdDSA
)

// Hash computes a digest at the speed of the gateway's own code.
func Hash(a Algorithm, b []byte) []byte {
	at, n := bytesAt(b)
	return read(nil, func(to unsafe.Pointer, size uint32) int32 { return rawCryptoHash(int32(a), at, n, to, size) })
}

// HMAC computes an HMAC at the speed of the gateway's own code.
func HMAC(a Algorithm, key, b []byte) []byte {
	keyAt, keyLen := bytesAt(key)
	at, n := bytesAt(b)
	return read(nil, func(to unsafe.Pointer, size uint32) int32 {
		return rawCryptoHmac(int32(a), keyAt, keyLen, at, n, to, size)
	})
}

// Equal compares in a time that doesn't depend on the content.
func Equal(a, b string) bool {
	at, n := stringAt(a)
	other, m := stringAt(b)
	return rawCryptoEqual(at, n, other, m) == 1
}

// Key is public keys. One of Configure lasts as long as the instance, any other
// as long as the call.
type Key int32

// LoadKey reads a JWK, a JWK set, or PEM.
func LoadKey(text string) (Key, error) {
	at, n := stringAt(text)
	k := rawCryptoKeyLoad(at, n)
	return Key(k), failed(k)
}

// Verify reports whether mark is b's signature. It returns an error when the key
// doesn't fit.
func (k Key) Verify(s Signature, b, mark []byte) (bool, error) {
	at, n := bytesAt(b)
	markAt, markLen := bytesAt(mark)
	good := rawCryptoVerify(int32(k), int32(s), at, n, markAt, markLen)
	return good == 1, failed(good)
}

// VerifyJWT checks a token's signature, exp and nbf and returns its claims as
// JSON. It returns Denied when the token isn't good.
func (k Key) VerifyJWT(token string) (claims []byte, err error) {
	at, n := stringAt(token)
	var code int32
	claims = read(nil, func(to unsafe.Pointer, size uint32) int32 {
		code = rawCryptoJwtVerify(int32(k), at, n, to, size)
		return code
	})
	return claims, failed(code)
}
