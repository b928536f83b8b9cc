//go:build wasip1

package postern

import "strconv"

// Event is AWS's REST proxy event as JSON, for json.Unmarshal into whatever type
// the plugin needs; the event types of AWS's Go library fit.
type Event []byte

// Answer is what an integration answers. The zero Answer is an empty 200.
type Answer struct {
	Status  int // 0 is 200
	Headers []Header
	Body    string
	Base64  bool // Body is base64 of what is meant

	// JSON is the answer in AWS's own form. If it is set, it is passed on as it
	// is and the rest is ignored.
	JSON []byte
}

// Header is one header of an Answer. A name may come several times.
type Header struct{ Name, Value string }

// append writes the answer as AWS's proxy response.
func (a Answer) append(dst []byte) []byte {
	if a.JSON != nil {
		return append(dst, a.JSON...)
	}
	if a.Status == 0 {
		a.Status = 200
	}
	dst = append(dst, `{"statusCode":`...)
	dst = strconv.AppendInt(dst, int64(a.Status), 10)
	if len(a.Headers) > 0 {
		dst = append(dst, `,"multiValueHeaders":{`...)
		dst = appendHeaders(dst, a.Headers)
		dst = append(dst, '}')
	}
	dst = append(dst, `,"body":`...)
	dst = appendJSON(dst, a.Body)
	if a.Base64 {
		dst = append(dst, `,"isBase64Encoded":true`...)
	}
	return append(dst, '}')
}

// appendHeaders groups the values of each name under its first appearance.
func appendHeaders(dst []byte, headers []Header) []byte {
	first := true
	for i, h := range headers {
		if seen(headers[:i], h.Name) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendJSON(dst, h.Name), ':', '[')
		dst = appendJSON(dst, h.Value)
		for _, more := range headers[i+1:] {
			if more.Name == h.Name {
				dst = appendJSON(append(dst, ','), more.Value)
			}
		}
		dst = append(dst, ']')
	}
	return dst
}

func seen(headers []Header, name string) bool {
	for _, h := range headers {
		if h.Name == name {
			return true
		}
	}
	return false
}

// appendJSON writes s as a JSON string; what isn't UTF-8 becomes U+FFFD.
func appendJSON(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20 || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}
