package proxy

import "strings"

// MediaTypes is a list of media types, in lower case, of which any may be
// "type/*" or "*/*". Safe for concurrent use; nil has none.
type MediaTypes []string

// NewMediaTypes returns the list of the media types that names name.
func NewMediaTypes(names []string) MediaTypes {
	var all MediaTypes
	for _, name := range names {
		all = append(all, strings.ToLower(name))
	}
	return all
}

// Has reports whether the first media type of value, a Content-Type or an Accept,
// is in the list, whatever parameters it has. A wildcard counts in the list only:
// AWS, measured: "Accept: */*" doesn't ask for image/png. A field that is missing
// counts as application/json.
func (m MediaTypes) Has(value string) bool {
	if len(m) == 0 {
		return false
	}
	first := FirstMediaType(value)
	if first == "" {
		first = "application/json"
	}
	for _, name := range m {
		switch {
		case name == "*/*":
			return true
		case strings.HasSuffix(name, "/*"):
			if n := len(name) - 1; len(first) > n && strings.EqualFold(first[:n], name[:n]) {
				return true
			}
		case len(first) == len(name) && strings.EqualFold(first, name):
			return true
		}
	}
	return false
}

// FirstMediaType returns the first media type of a Content-Type or an Accept,
// without its parameters.
func FirstMediaType(value string) string {
	if i := strings.IndexAny(value, ",;"); i >= 0 {
		value = value[:i]
	}
	return strings.Trim(value, " \t")
}
