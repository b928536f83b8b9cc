package gatewayresponse

import (
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/document"
)

// maxTemplate is the size of a template. AWS: "Amazon API Gateway quotas".
const maxTemplate = 300 << 10

// template is the text of a gateway response. It isn't Velocity. AWS: "Gateway
// responses in API Gateway": nothing but $context, $stageVariables and
// $method.request is replaced.
type template []piece

// piece is some text, and the value that follows it.
type piece struct {
	text   string
	source *source // nil at the end
	escape escape
}

// escape is what a value needs at its place.
type escape uint8

const (
	asIs     escape = iota
	inString        // of JSON
	inMarkup        // of HTML and XML
)

// parseTemplate reads a template; the error has the place in it.
//
// Differs from AWS, which puts values where they belong as they are: what clients
// send could end a JSON string, or be a script. Outside of JSON strings AWS's way
// is kept, for values that are JSON themselves.
func parseTemplate(text, mediaType string, stage *proxy.Stage) (template, *config.KeyError) {
	if len(text) > maxTemplate {
		return nil, &config.KeyError{Text: fmt.Sprintf("a template of %d bytes; at most %d", len(text), maxTemplate)}
	}
	mediaType = strings.ToLower(mediaType)
	isJSON := mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
	isMarkup := mediaType == "text/html" || strings.HasSuffix(mediaType, "/xml") || strings.HasSuffix(mediaType, "+xml")
	var t template
	quoted := false
	start := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && isJSON && quoted:
			i++
		case c == '"' && isJSON:
			quoted = !quoted
		case c == '#':
			if found := directive(text[i+1:]); found != "" {
				return nil, misplaced(text, i, fmt.Sprintf("the directive #%s", found), "gateway responses aren't mapping templates: values are replaced, and nothing else")
			}
		case c == '$':
			name, end := reference(text, i)
			if name == "" {
				continue
			}
			s, err := parseReference(name, stage)
			if err != nil {
				return nil, misplaced(text, i, err.Text, err.Hint)
			}
			p := piece{text: text[start:i], source: &s}
			switch {
			case isMarkup:
				p.escape = inMarkup
			case quoted:
				p.escape = inString
			}
			t = append(t, p)
			start = end
			i = end - 1
		}
	}
	return append(t, piece{text: text[start:]}), nil
}

// misplaced is an error at offset at of text.
func misplaced(text string, at int, what, hint string) *config.KeyError {
	line := 1 + strings.Count(text[:at], "\n")
	column := 1 + len([]rune(text[strings.LastIndexByte(text[:at], '\n')+1:at]))
	return &config.KeyError{Text: fmt.Sprintf("line %d, column %d: %s", line, column, what), Hint: hint}
}

// directive returns the directive of mapping templates that text begins with,
// behind "#"; "" for none.
func directive(text string) string {
	for _, name := range []string{"set", "if", "elseif", "foreach", "macro", "define"} {
		if rest, found := strings.CutPrefix(text, name); found && strings.HasPrefix(strings.TrimLeft(rest, " "), "(") {
			return name
		}
	}
	return ""
}

// reference returns the name of the reference that begins with the "$" at at,
// without "$" and braces, and where it ends; "" if it is just a dollar.
func reference(text string, at int) (name string, end int) {
	begin := at + 1
	braces := strings.HasPrefix(text[begin:], "{")
	if braces {
		begin++
	}
	end = begin
	for end < len(text) && (nameByte(text[end]) || text[end] == '.' && end > begin && end+1 < len(text) && nameByte(text[end+1])) {
		end++
	}
	name = text[begin:end]
	if braces {
		if end == len(text) || text[end] != '}' {
			return "", 0
		}
		end++
	}
	root, _, _ := strings.Cut(name, ".")
	switch root {
	case "context", "stageVariables", "method", "input", "util":
		return name, end
	}
	return "", 0
}

func nameByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func parseReference(name string, stage *proxy.Stage) (source, *config.KeyError) {
	root, rest, _ := strings.Cut(name, ".")
	switch {
	case root == "input" || root == "util":
		return source{}, &config.KeyError{Text: fmt.Sprintf("$%s isn't known to gateway responses", root),
			Hint: "they have $context.NAME, $stageVariables.NAME and $method.request.header.NAME, .querystring.NAME and .path.NAME"}
	case rest == "":
		return source{}, &config.KeyError{Text: fmt.Sprintf("$%s as a whole can't be printed", root), Hint: "name one of its values, as $context.error.message"}
	}
	return parseSource(name, stage)
}

// append appends what t comes to, at most a little more than maxContent.
func (t template) append(dst []byte, why *failure) []byte {
	for i := range t {
		p := &t[i]
		dst = append(dst, p.text...)
		if p.source == nil || len(dst) > maxContent {
			return dst
		}
		value, _ := p.source.text(why)
		switch p.escape {
		case inString:
			n := len(dst)
			dst = document.AppendString(dst, value)
			dst = append(dst[:n], dst[n+1:len(dst)-1]...)
		case inMarkup:
			dst = appendMarkup(dst, value)
		default:
			dst = append(dst, value...)
		}
	}
	return dst
}

// appendMarkup appends text so that it is text in HTML and XML, in attributes too.
func appendMarkup(dst []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
