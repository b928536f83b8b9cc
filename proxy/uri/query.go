package uri

// NextParam cuts the first parameter off a raw query string. name and value are
// still encoded; empty parameters are passed over, and ok is false at the end.
//
// AWS: "Amazon API Gateway important notes": ";" separates like "&".
func NextParam(query string) (name, value, rest string, ok bool) {
	for query != "" {
		end, equals := len(query), -1
		for i := 0; i < len(query); i++ {
			c := query[i]
			if c == '&' || c == ';' {
				end = i
				break
			}
			if c == '=' && equals < 0 {
				equals = i
			}
		}
		rest = query[min(end+1, len(query)):]
		switch {
		case end == 0:
			query = rest
		case equals < 0:
			return query[:end], "", rest, true
		default:
			return query[:equals], query[equals+1 : end], rest, true
		}
	}
	return "", "", "", false
}

// FormByte decodes the first byte of s, which isn't empty, as a query string is
// encoded: "+" is a space. n is how much of s it took. A "%" without two
// hexadecimal digits stands for itself.
func FormByte(s string) (c byte, n int) {
	switch s[0] {
	case '+':
		return ' ', 1
	case '%':
		if c, ok := Unescape(s, 0); ok {
			return c, 3
		}
	}
	return s[0], 1
}

// AppendForm appends s, a name or value of a query string, decoded.
func AppendForm(dst []byte, s string) []byte {
	for s != "" {
		c, n := FormByte(s)
		dst, s = append(dst, c), s[n:]
	}
	return dst
}

// FormIs reports whether raw, a name or value of a query string, stands for text.
func FormIs(raw, text string) bool {
	for raw != "" {
		c, n := FormByte(raw)
		if text == "" || text[0] != c {
			return false
		}
		raw, text = raw[n:], text[1:]
	}
	return text == ""
}

// AppendEscaped appends c as it may stand anywhere in a path or a query string:
// unreserved characters as they are, others as "%XX". RFC 3986, 2.3.
func AppendEscaped(dst []byte, c byte) []byte {
	switch {
	case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		return append(dst, c)
	}
	return append(dst, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
}
