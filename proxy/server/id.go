package server

import (
	"crypto/tls"
	"encoding/binary"
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
	var text [36]byte
	big := binary.BigEndian
	big.PutUint64(text[:], proxy.HexDigits(uint32(hi>>32)))
	digits := proxy.HexDigits(uint32(hi))
	big.PutUint32(text[9:], uint32(digits>>32))
	big.PutUint32(text[14:], uint32(digits))
	digits = proxy.HexDigits(uint32(lo >> 32))
	big.PutUint32(text[19:], uint32(digits>>32))
	big.PutUint32(text[24:], uint32(digits))
	big.PutUint64(text[28:], proxy.HexDigits(uint32(lo)))
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(b, text[:]...)
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
	var text [16]byte
	for i := range 10 {
		text[i] = base64Digits[hi&63]
		hi >>= 6
	}
	for i := 10; i < 14; i++ {
		text[i] = base64Digits[lo&63]
		lo >>= 6
	}
	text[14], text[15] = base64Digits[lo&0x3c], '=' // 11 bytes end in the middle of a digit
	return append(b, text[:]...)
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
