package schema

import (
	"encoding/base64"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// format is a format that strings are held against.
type format struct {
	name string
	fits func(text string) bool
	// message is what is said of a string that doesn't fit; %s stands for it.
	message string
}

// formatOf returns the format called name; nil for one that nobody checks. They
// are those of AWS's library that a request can have use for.
func formatOf(name string) *format {
	switch name {
	case "date-time":
		return &format{name, isDateTime, `string "%s" is invalid against requested date format(s) [yyyy-MM-dd'T'HH:mm:ssZ, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,12}Z]`}
	case "email":
		return &format{name, isEmail, `string "%s" is not a valid email address`}
	case "hostname":
		return &format{name, isHostname, `string "%s" is not a valid hostname`}
	case "ipv4":
		return &format{name, func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() }, `string "%s" is not a valid IPv4 address`}
	case "ipv6":
		return &format{name, func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" }, `string "%s" is not a valid IPv6 address`}
	case "uri":
		return &format{name, isURI, `string "%s" is not a valid URI`}
	case "regex":
		return &format{name, func(s string) bool {
			_, err := compilePattern(s)
			return err == nil
		}, `string "%s" is not a valid ECMA 262 regular expression`}
	case "uuid":
		return &format{name, isUUID, `input string "%s" is not a valid UUID`}
	case "base64":
		return &format{name, func(s string) bool { _, err := base64.StdEncoding.DecodeString(s); return err == nil },
			"input is not a valid Base64 string: illegal characters"}
	case "json-pointer":
		return &format{name, isPointer, `input string "%s" is not a valid JSON Pointer`}
	case "mac":
		return &format{name, isMAC, `input string "%s" is not a valid MAC address`}
	}
	for _, hash := range []struct {
		name   string
		length int
	}{{"md5", 32}, {"sha1", 40}, {"sha256", 64}, {"sha512", 128}} {
		if hash.name == name {
			return &format{name, func(s string) bool { return len(s) == hash.length && isHex(s) },
				fmt.Sprintf("input string has bad length, or illegal characters (expected %d hexadecimal digits)", hash.length)}
		}
	}
	return nil
}

// isDateTime is what RFC 3339 calls date-time, with at most 12 digits of a second.
func isDateTime(s string) bool {
	if len(s) < len("2006-01-02T15:04:05Z") || s[10]|0x20 != 't' {
		return false
	}
	if i := strings.IndexByte(s, '.'); i >= 0 {
		n := i + 1
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n-i-1 > 12 {
			return false
		}
	}
	leap := len(s) > 19 && s[17:19] == "60" && s[14:16] == "59" // RFC 3339, 5.7
	if leap {
		s = s[:17] + "59" + s[19:]
	}
	_, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	return err == nil
}

// isEmail is what Java's mail library takes, but for names before the address.
func isEmail(s string) bool {
	address, err := mail.ParseAddress(s)
	return err == nil && address.Address == s && address.Name == "" && len(s) <= 320
}

func isHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

func isURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && !strings.ContainsAny(s, " \\<>\"{}|^`")
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
			return false
		}
	}
	return true
}

func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && isHex(strings.ReplaceAll(s, "-", "")) && strings.Count(s, "-") == 4
}

func isMAC(s string) bool {
	parts := strings.Split(s, ":")
	for _, part := range parts {
		if len(part) != 2 || !isHex(part) {
			return false
		}
	}
	return len(parts) == 6
}

func isPointer(s string) bool {
	rest := strings.ReplaceAll(strings.ReplaceAll(s, "~0", ""), "~1", "")
	return (s == "" || s[0] == '/') && !strings.Contains(rest, "~")
}
