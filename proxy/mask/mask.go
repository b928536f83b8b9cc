// Package mask keeps credentials out of what operators are shown: by the names of the
// values, and by what JSON and forms call them.
package mask

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// hidden stands for what isn't shown.
const hidden = "**********"

// Confidential reports whether a header, parameter, member or expression of this name
// has a credential, or likely one.
func Confidential(name string) bool {
	name = strings.ToLower(name)
	if rest, cors := strings.CutPrefix(name, "access-control-"); cors && (strings.HasPrefix(rest, "allow-") || strings.HasPrefix(rest, "request-") || strings.HasPrefix(rest, "expose-")) {
		return false
	}
	for _, word := range [...]string{"cookie", "token", "secret", "passw", "signature", "credential", "session",
		"api-key", "api_key", "apikey", "assertion", "private", "x-postern-trace"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "sig" || name == "code" || name == "key" || authenticates(name)
}

// authenticates reports whether name has the word "auth" in it, or one that begins so,
// but for those that tell who, not how: author, authority, authorizer.
func authenticates(name string) bool {
	for {
		_, rest, found := strings.Cut(name, "auth")
		if !found {
			return false
		}
		if after, person := strings.CutPrefix(rest, "or"); !person || strings.HasPrefix(after, "ization") || strings.HasPrefix(after, "isation") {
			return true
		}
		name = rest
	}
}

// Value returns what may be shown of the value of a confidential name: the word that
// says what kind of credential it is ("Bearer"), and of the rest what Tail leaves where
// the name is one of a key or a token; a password, or what has one, isn't shown at all.
func Value(name, value string) string {
	scheme, secret := Parts(name, value)
	if scheme != "" {
		scheme += " "
	}
	if strings.EqualFold(scheme, "basic ") || !tellable(name) {
		return scheme + hidden
	}
	return scheme + Tail(secret)
}

// tellable reports whether values of this name are as random at their end as anywhere.
func tellable(name string) bool {
	name = strings.ToLower(name)
	if strings.Contains(name, "passw") || strings.Contains(name, "cookie") {
		return false
	}
	for _, word := range [...]string{"auth", "token", "key", "signature", "sig", "assertion", "trace", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// Parts splits the value of a name like Authorization as RFC 9110, 11.4 has them:
// "Bearer", and the rest. scheme is "" where there is none.
func Parts(name, value string) (scheme, secret string) {
	word, rest, found := strings.Cut(value, " ")
	if !found || word == "" || !authenticates(strings.ToLower(name)) {
		return "", value
	}
	for i := range len(word) {
		if c := word[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return "", value
		}
	}
	return word, rest
}

// Tail returns what may be shown of a credential: the last six characters of a long
// one, as AWS does it, which is enough to tell two apart.
func Tail(s string) string {
	const shown = 6
	if len(s) < 4*shown {
		return hidden
	}
	return hidden + s[len(s)-shown:]
}

// Form masks the values of confidential names in text that has the form of a query, whole
// or cut.
func Form(text string) string {
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		if name, value, found := strings.Cut(pair, "="); found && Confidential(name) {
			pairs[i] = name + "=" + Value(name, value)
		}
	}
	return strings.Join(pairs, "&")
}

// IsForm reports whether content of a type has the form of a query.
func IsForm(contentType string) bool {
	const form = "application/x-www-form-urlencoded"
	return len(contentType) >= len(form) && strings.EqualFold(contentType[:len(form)], form)
}

// JSON masks the values of members of confidential names, and all texts within them, in
// text that looks like JSON, whole or cut.
func JSON(text string) string {
	if !strings.ContainsAny(text, "{[") {
		return text
	}
	var b strings.Builder
	for {
		name, end := nextText(text)
		if end < 0 {
			break
		}
		b.WriteString(text[:end])
		text = text[end:]
		rest := strings.TrimLeft(text, " \t\r\n")
		if name = unescaped(name); !strings.HasPrefix(rest, ":") || !Confidential(name) {
			continue
		}
		rest = strings.TrimLeft(rest[1:], " \t\r\n")
		b.WriteString(text[:len(text)-len(rest)])
		text = maskValue(&b, name, rest)
	}
	b.WriteString(text)
	return b.String()
}

// maskValue writes the value that text begins with as it may be shown of a member called
// name, and returns what comes after it. Members within have their names shown.
func maskValue(b *strings.Builder, name, text string) (rest string) {
	for depth := 0; text != ""; {
		end := 1
		switch text[0] {
		case '"':
			var value string
			if value, end = nextText(text); end < 0 { // it was cut
				b.WriteString(`"` + hidden)
				return ""
			}
			if member := strings.HasPrefix(strings.TrimLeft(text[end:], " \t\r\n"), ":"); member {
				b.WriteString(text[:end])
			} else {
				b.WriteString(`"` + Value(name, value) + `"`)
			}
		case '[', '{':
			depth++
			b.WriteByte(text[0])
		default:
			if depth == 0 {
				return text // a number or a word
			}
			if text[0] == ']' || text[0] == '}' {
				depth--
			}
			b.WriteByte(text[0])
		}
		if text = text[end:]; depth == 0 {
			return text
		}
	}
	return ""
}

// unescaped returns what the inside of a JSON string says.
func unescaped(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var said string
	if json.Unmarshal([]byte(`"`+text+`"`), &said) != nil {
		return text
	}
	return said
}

// nextText returns the first string of text and where it ends, -1 for none.
func nextText(text string) (value string, end int) {
	begin := strings.IndexByte(text, '"')
	if begin < 0 {
		return "", -1
	}
	for i := begin + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[begin+1 : i], i + 1
		}
	}
	return "", -1
}

// Whole takes off what is left of a character at the end of text that was cut.
func Whole(b []byte) []byte {
	for i := 1; i <= utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}
