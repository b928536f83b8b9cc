package explain

import "strings"

// Confidential reports whether a header, parameter, member or expression of this name
// has a credential, or likely one.
func Confidential(name string) bool {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "access-control-") {
		return false
	}
	for _, word := range [...]string{"authorization", "x-auth", "cookie", "token", "secret", "passw", "signature", "credential", "session",
		"api-key", "api_key", "apikey", "assertion", "private", "x-postern-trace"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "sig" || name == "code" || name == "key" || name == "auth"
}

// scheme reports whether word is how a credential is told to be one: "Bearer".
func scheme(word string) bool {
	for i := range len(word) {
		if c := word[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return word != ""
}

// mask returns what may be shown of a credential: the last six characters of a long
// one, as AWS does it, which is enough to tell two apart.
func mask(s string) string {
	const shown = 6
	if len(s) < 4*shown {
		return "**********"
	}
	return "**********" + s[len(s)-shown:]
}

// maskJSON masks the values of members of confidential names in text that looks like
// JSON, whole or cut.
func maskJSON(text string) string {
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
		if !strings.HasPrefix(rest, ":") || !Confidential(name) {
			continue
		}
		rest = strings.TrimLeft(rest[1:], " \t\r\n")
		b.WriteString(text[:len(text)-len(rest)])
		text = rest
		if value, end := nextText(text); end >= 0 && text[0] == '"' {
			b.WriteString(`"` + mask(value) + `"`)
			text = text[end:]
		} else if text != "" && text[0] == '"' { // it was cut
			b.WriteString(`"` + mask(""))
			text = ""
		}
	}
	b.WriteString(text)
	return b.String()
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
