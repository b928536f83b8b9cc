package server

import (
	"crypto/tls"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

const hexDigits = "0123456789abcdef"

// appendUUID appends a random UUID. RFC 9562, 5.4.
func appendUUID(b []byte, hi, lo uint64) []byte {
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	var digits [32]byte
	text := proxy.AppendHex(proxy.AppendHex(digits[:0], hi), lo)
	b = append(append(b, text[:8]...), '-')
	b = append(append(b, text[8:12]...), '-')
	b = append(append(b, text[12:16]...), '-')
	b = append(append(b, text[16:20]...), '-')
	return append(b, text[20:]...)
}

// isUUID reports whether s has a UUID's shape, in lower or upper case.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])) {
				return false
			}
		}
	}
	return true
}

// appendExtendedID appends 15 base64 digits and "=", as x-amz-apigw-id has.
func appendExtendedID(b []byte, hi, lo uint64) []byte {
	for range 10 {
		b = append(b, base64Digits[hi&63])
		hi >>= 6
	}
	for range 4 {
		b = append(b, base64Digits[lo&63])
		lo >>= 6
	}
	return append(b, base64Digits[lo&0x3c], '=') // 11 bytes end in the middle of a digit
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" // RFC 4648, 4

// dateText is the value of the Date field, made once a second.
type dateText struct {
	now atomic.Pointer[datedText]
}

type datedText struct {
	second int64
	text   string
}

// dateLayout is IMF-fixdate. RFC 9110, 5.6.7.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

func (d *dateText) at(now time.Time) string {
	second := now.Unix()
	if t := d.now.Load(); t != nil && t.second == second {
		return t.text
	}
	t := &datedText{second, now.UTC().Format(dateLayout)}
	d.now.Store(t)
	return t.text
}

// sessionTLS is a client's TLS session as steps see it.
type sessionTLS = proxy.TLS

func describeTLS(state *tls.ConnectionState) *sessionTLS {
	return &sessionTLS{
		Version:     versionText(state.Version),
		CipherSuite: tls.CipherSuiteName(state.CipherSuite),
		ServerName:  strings.TrimSuffix(strings.ToLower(state.ServerName), "."),
		Shown:       state.PeerCertificates,
	}
}

func versionText(version uint16) string {
	switch version { // nearly always one of these
	case tls.VersionTLS13:
		return "TLSv1.3"
	case tls.VersionTLS12:
		return "TLSv1.2"
	}
	return strings.Replace(tls.VersionName(version), "TLS ", "TLSv", 1)
}
