package observe

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// longestFormat is how many bytes a format of access lines may have. AWS: "Set up
// CloudWatch logging for REST APIs in API Gateway": 3 KB.
const longestFormat = 3 << 10

// Variable is the value of a context variable for an exchange, "" for none. ex.Stage is
// set; ex.Route may be nil.
type Variable func(ex *proxy.Exchange) string

// presets are the formats that AWS's console suggests.
var presets = map[string]string{
	"clf": `$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] ` +
		`"$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId $context.extendedRequestId`,
	"json": `{ "requestId":"$context.requestId", "extendedRequestId":"$context.extendedRequestId","ip": "$context.identity.sourceIp", ` +
		`"caller":"$context.identity.caller", "user":"$context.identity.user", "requestTime":"$context.requestTime", ` +
		`"httpMethod":"$context.httpMethod","resourcePath":"$context.resourcePath", "status":"$context.status","protocol":"$context.protocol", ` +
		`"responseLength":"$context.responseLength" }`,
	"xml": `<request id="$context.requestId"> <extendedRequestId>$context.extendedRequestId</extendedRequestId> <ip>$context.identity.sourceIp</ip> ` +
		`<caller>$context.identity.caller</caller> <user>$context.identity.user</user> <requestTime>$context.requestTime</requestTime> ` +
		`<httpMethod>$context.httpMethod</httpMethod> <resourcePath>$context.resourcePath</resourcePath> <status>$context.status</status> ` +
		`<protocol>$context.protocol</protocol> <responseLength>$context.responseLength</responseLength> </request>`,
	"csv": `$context.identity.sourceIp,$context.identity.caller,$context.identity.user,$context.requestTime,$context.httpMethod,` +
		`$context.resourcePath,$context.protocol,$context.status,$context.responseLength,$context.requestId,$context.extendedRequestId`,
}

// httpPresets are those for HTTP APIs, where callers are in none of the variables.
var httpPresets = map[string]string{
	"clf": `$context.identity.sourceIp - - [$context.requestTime] ` +
		`"$context.httpMethod $context.routeKey $context.protocol" $context.status $context.responseLength $context.requestId`,
	"json": `{ "requestId":"$context.requestId", "ip": "$context.identity.sourceIp", "requestTime":"$context.requestTime", ` +
		`"httpMethod":"$context.httpMethod","routeKey":"$context.routeKey", "status":"$context.status","protocol":"$context.protocol", ` +
		`"responseLength":"$context.responseLength" }`,
	"xml": `<request id="$context.requestId"> <ip>$context.identity.sourceIp</ip> <requestTime>$context.requestTime</requestTime> ` +
		`<httpMethod>$context.httpMethod</httpMethod> <routeKey>$context.routeKey</routeKey> <status>$context.status</status> ` +
		`<protocol>$context.protocol</protocol> <responseLength>$context.responseLength</responseLength> </request>`,
	"csv": `$context.identity.sourceIp,$context.requestTime,$context.httpMethod,$context.routeKey,` +
		`$context.protocol,$context.status,$context.responseLength,$context.requestId`,
}

// presetsOf returns the presets for APIs of a type.
func presetsOf(apiType string) map[string]string {
	if apiType == config.HTTPType {
		return httpPresets
	}
	return presets
}

// format is a compiled format of access lines. Safe for concurrent use.
type format struct {
	parts  []part
	tail   string // after the last value, with the newline
	escape func(b []byte, s string) []byte
	days   stamps // $context.requestTime
}

// part is one value with what stands ahead of it.
type part struct {
	literal string
	what    measured // number that the exchange has itself; unmeasured: text
	text    Variable
}

// parseFormat compiles a preset's name or a format for the APIs of a type. The error is a
// *config.KeyError without a path.
func parseFormat(text, apiType string, lookup func(name string) (Variable, bool)) (*format, error) {
	wanted := text
	if preset, found := presetsOf(apiType)[text]; found {
		text = preset
	}
	if len(text) > longestFormat {
		return nil, &config.KeyError{Text: fmt.Sprintf("the format has %d bytes, at most %d are allowed", len(text), longestFormat)}
	}
	text = strings.TrimSuffix(text, "\n")
	if strings.ContainsAny(text, "\r\n") {
		return nil, &config.KeyError{Text: "the format has several lines", Hint: "each request is one line of the log"}
	}
	f := &format{escape: escapeText, days: stamps{layout: "02/Jan/2006:15:04:05 -0700"}}
	switch {
	case wanted == "csv":
		f.escape = escapeCSV
	case strings.HasPrefix(strings.TrimSpace(text), "<"):
		f.escape = escapeXML
	}
	identified := false
	for {
		literal, rest, found := strings.Cut(text, "$context.")
		if strings.Contains(literal, "$") {
			return nil, &config.KeyError{Text: fmt.Sprintf("%q has a \"$\" that isn't one of $context.NAME", literal), Hint: "access logs have nothing but $context"}
		}
		if !found {
			f.tail = literal + "\n"
			break
		}
		var name string
		name, text = cutName(rest)
		p, err := newPart(name, lookup)
		if err != nil {
			return nil, err
		}
		p.literal = literal
		f.parts = append(f.parts, p)
		identified = identified || name == "requestId" || name == "extendedRequestId"
	}
	if !identified {
		return nil, &config.KeyError{Text: "the format has neither $context.requestId nor $context.extendedRequestId", Hint: `add one of them, or take "clf", "json", "xml" or "csv"`}
	}
	return f, nil
}

func newPart(name string, lookup func(name string) (Variable, bool)) (part, error) {
	if what, found := measures[name]; found {
		return part{what: what}, nil
	}
	if v, found := ownVariables[name]; found {
		return part{text: v}, nil
	}
	if lookup != nil {
		if v, found := lookup(name); found {
			return part{text: v}, nil
		}
	}
	return part{}, &config.KeyError{Text: fmt.Sprintf("there is no context variable %q", name), Hint: `AWS: "Variables for access logging for API Gateway"`}
}

// cutName splits what follows "$context." behind the variable's name; a member may also
// be written as ['cognito:groups'].
func cutName(s string) (name, rest string) {
	n := 0
	for n < len(s) && (s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || s[n] >= '0' && s[n] <= '9' || s[n] == '_' || s[n] == '-' || s[n] == '.') {
		n++
	}
	name = strings.TrimRight(s[:n], ".-")
	rest = s[len(name):]
	if member, after, found := strings.Cut(rest, "']"); found && strings.HasPrefix(member, "['") {
		return name + "." + member[2:], after
	}
	return name, rest
}

// append appends the line of ex, newline and all.
func (f *format) append(b []byte, ex *proxy.Exchange) []byte {
	for i := range f.parts {
		p := &f.parts[i]
		b = append(b, p.literal...)
		if p.what != unmeasured {
			b = f.measure(b, p, ex)
			continue
		}
		b = f.value(b, p.text(ex))
	}
	return append(b, f.tail...)
}

// value appends a text, "-" for none.
func (f *format) value(b []byte, s string) []byte {
	switch {
	case s == "":
		return append(b, '-')
	case len(s) > longest:
		s = s[:longest]
	}
	return f.escape(b, s)
}

// escapeText makes s safe between quotation marks, in JSON and elsewhere: clients choose
// some values, and none may begin a line or a member of its own.
//
// Differs from AWS, which writes most values as they are.
func escapeText(b []byte, s string) []byte { return appendEscaped(b, s, cleaned) }

// escapeXML makes s safe as text and in attributes.
func escapeXML(b []byte, s string) []byte {
	return appendReplaced(b, s, func(c byte) string {
		switch c {
		case '<':
			return "&lt;"
		case '>':
			return "&gt;"
		case '&':
			return "&amp;"
		case '"':
			return "&#34;"
		case '\'':
			return "&#39;"
		}
		return ""
	})
}

// escapeCSV makes s one field. RFC 4180, 2.
func escapeCSV(b []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"") {
		return appendReplaced(b, s, func(byte) string { return "" })
	}
	b = append(b, '"')
	b = appendReplaced(b, s, func(c byte) string {
		if c == '"' {
			return `""`
		}
		return ""
	})
	return append(b, '"')
}

// appendReplaced appends s with what replaced has for single characters of ASCII, "" for
// themselves. Control characters, for which neither XML nor CSV has a form that all read,
// become U+FFFD.
func appendReplaced(b []byte, s string, replaced func(c byte) string) []byte {
	start := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		with := ""
		switch {
		case r < ' ' || r >= 0x7f && r <= 0x9f || r == utf8.RuneError:
			with = string(utf8.RuneError)
		case r < utf8.RuneSelf:
			with = replaced(s[i])
		}
		if with != "" {
			b = append(append(b, s[start:i]...), with...)
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}
