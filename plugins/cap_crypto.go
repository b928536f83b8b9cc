package plugins

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"

	"github.com/postern-gateway/postern/proxy/jose"
	"github.com/postern-gateway/postern/sdk/abi"
)

// cryptoFunctions are what guests would do 10 to 50 times slower.
func cryptoFunctions() hostModule {
	return native(abi.ModuleCrypto, "crypto", map[string]hostCall{
		"hash":       (*instance).digest,
		"hmac":       (*instance).authenticate,
		"key_load":   func(in *instance, s []uint64) { answer(s, in.loadKeys(in.view(s[0], s[1]))) },
		"verify":     (*instance).verify,
		"jwt_verify": (*instance).verifyToken,
		"equal": func(in *instance, s []uint64) {
			answer(s, int32(subtle.ConstantTimeCompare(in.view(s[0], s[1]), in.view(s[2], s[3]))))
		},
	})
}

// digestBy returns what makes digests by an algorithm's number.
func digestBy(algorithm uint64) func() hash.Hash {
	switch algorithm {
	case abi.MD5:
		return md5.New
	case abi.SHA1:
		return sha1.New
	case abi.SHA256:
		return sha256.New
	case abi.SHA384:
		return sha512.New384
	case abi.SHA512:
		return sha512.New
	}
	return nil
}

// signatureBy returns the name of a signature's algorithm.
func signatureBy(algorithm uint64) string {
	if names := jose.Algorithms(); algorithm > 0 && algorithm <= uint64(len(names)) {
		return names[algorithm-1]
	}
	return ""
}

// What cryptography costs at most, in nanoseconds.
const (
	workPerBlock  = 200     // a digest's block of 64 bytes
	workPerVerify = 500_000 // of an RSA key of 4096 bits; P-521 is slower still
)

func blocks(n int) int { return (n/64 + 4) * workPerBlock }

func (in *instance) digest(s []uint64) {
	data := in.view(s[1], s[2])
	if s[0] == abi.SHA256 && in.charge(blocks(len(data))) { // by far the most asked for
		sum := sha256.Sum256(data)
		answer(s, in.putBytes(s[3], s[4], sum[:]))
		return
	}
	in.sum(s, digestBy(s[0]), data, s[3], s[4])
}

func (in *instance) authenticate(s []uint64) {
	by := digestBy(s[0])
	if by == nil {
		answer(s, abi.BadArgument)
		return
	}
	key := in.view(s[1], s[2])
	in.sum(s, func() hash.Hash { return hmac.New(by, key) }, in.view(s[3], s[4]), s[5], s[6])
}

// sum writes the digest of data to the guest's buffer.
func (in *instance) sum(s []uint64, by func() hash.Hash, data []byte, at, size uint64) {
	switch {
	case by == nil:
		answer(s, abi.BadArgument)
	case !in.charge(blocks(len(data))):
		answer(s, abi.Limit)
	default:
		h := by()
		h.Write(data)
		held := in.held()
		held.scratch = h.Sum(held.scratch[:0])
		answer(s, in.putBytes(at, size, held.scratch))
	}
}

func (in *instance) loadKeys(text []byte) int32 {
	if len(text) > jose.MaxText || !in.charge(workPerVerify) {
		return abi.Limit
	}
	keys, err := jose.ParseKeys(text)
	if err != nil {
		in.explain("key_load", err)
		return abi.BadArgument
	}
	return number(&in.held().keys, keys)
}

func (in *instance) verify(s []uint64) {
	keys, ok := numbered(in.held().keys, s[0])
	algorithm := signatureBy(s[1])
	data, mark := in.view(s[2], s[3]), in.view(s[4], s[5])
	switch {
	case !ok || algorithm == "":
		answer(s, abi.BadArgument)
	case !in.charge(blocks(len(data)) + len(keys)*workPerVerify):
		answer(s, abi.Limit)
	case keys.Verify(algorithm, data, mark):
		answer(s, 1)
	default:
		answer(s, 0)
	}
}

func (in *instance) verifyToken(s []uint64) {
	keys, ok := numbered(in.held().keys, s[0])
	token := in.text(s[1], s[2])
	switch {
	case !ok:
		answer(s, abi.BadArgument)
	case !in.charge(blocks(len(token)) + len(keys)*workPerVerify):
		answer(s, abi.Limit)
	default:
		claims, err := keys.VerifyToken(token, in.plugin.host.clock(), 0)
		if err != nil {
			in.explain("jwt_verify", err)
			answer(s, abi.Denied)
			return
		}
		answer(s, in.putBytes(s[3], s[4], claims))
	}
}
