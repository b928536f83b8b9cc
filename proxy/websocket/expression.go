package websocket

import (
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/proxy/expr"
)

// selector is a compiled route selection expression. It doesn't change.
type selector struct {
	pieces []piece
	plain  *expr.Path // the only piece, where that is a path; nil for others
}

// piece is text, or a value of the message.
type piece struct {
	text string
	path *expr.Path // nil for text; the whole message is "$"
}

// maxKey is how long a key that a message selects may be, in bytes: longer ones are
// nobody's.
const maxKey = 1024

// newSelector compiles an expression. AWS: "WebSocket API selection expressions":
// $request.body.PATH or ${request.body.PATH}, ${stageVariables.NAME}, and texts, in
// which "\$" is a "$".
func newSelector(text string, variables map[string]string) (*selector, error) {
	s := &selector{}
	add := func(t string) {
		if n := len(s.pieces); n > 0 && s.pieces[n-1].path == nil {
			s.pieces[n-1].text += t
			return
		}
		s.pieces = append(s.pieces, piece{text: t})
	}
	for rest := text; rest != ""; {
		switch {
		case strings.HasPrefix(rest, `\$`):
			add("$")
			rest = rest[2:]
		case rest[0] == '$':
			name, after, err := cutVariable(rest[1:])
			if err != nil {
				return nil, err
			}
			rest = after
			if variable, is := strings.CutPrefix(name, "stageVariables."); is {
				add(variables[variable])
				continue
			}
			path, err := bodyPath(name)
			if err != nil {
				return nil, err
			}
			s.pieces = append(s.pieces, piece{path: path})
		default:
			end := strings.IndexAny(rest[1:], `$\`) + 1
			if end == 0 {
				end = len(rest)
			}
			add(rest[:end])
			rest = rest[end:]
		}
	}
	if len(s.pieces) == 1 {
		s.plain = s.pieces[0].path
	}
	return s, nil
}

// cutVariable splits what follows "$" behind the variable.
func cutVariable(s string) (name, rest string, err error) {
	if inside, found := strings.CutPrefix(s, "{"); found {
		name, rest, found := strings.Cut(inside, "}")
		if !found {
			return "", "", fmt.Errorf(`"${%s" isn't closed`, inside)
		}
		return name, rest, nil
	}
	n := 0
	for n < len(s) {
		c := s[n]
		if c == '[' {
			end := strings.IndexByte(s[n:], ']')
			if end < 0 {
				break
			}
			n += end + 1
			continue
		}
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			break
		}
		n++
	}
	name = strings.TrimRight(s[:n], ".-")
	return name, s[len(name):], nil
}

// bodyPath compiles the JSONPath of a variable.
func bodyPath(name string) (*expr.Path, error) {
	if name == "request.body" {
		return expr.Parse("$")
	}
	path, is := strings.CutPrefix(name, "request.body.")
	if !is || path == "" {
		return nil, fmt.Errorf("%q isn't something that a message is selected by", "$"+name)
	}
	compiled, err := expr.Parse("$." + path)
	if err != nil {
		return nil, fmt.Errorf("the JSONPath of %q: %w", "$"+name, err)
	}
	return compiled, nil
}

// Select implements proxy.Selector. AWS: what isn't JSON selects nothing, and a path
// that leads nowhere is an empty text.
func (s *selector) Select(content []byte) string {
	var root expr.Value
	parsed := false
	var b strings.Builder
	for i := range s.pieces {
		p := &s.pieces[i]
		if p.path == nil {
			b.WriteString(p.text)
			continue
		}
		if !parsed {
			var err error
			if root, err = expr.ParseJSON(content); err != nil {
				return ""
			}
			parsed = true
		}
		text := valueOf(p.path, root)
		if s.plain != nil {
			return text
		}
		b.WriteString(text)
		if b.Len() > maxKey {
			return ""
		}
	}
	return b.String()
}

func valueOf(p *expr.Path, root expr.Value) string {
	value, err := p.Eval(root)
	if err != nil || value.IsNull() {
		return ""
	}
	if value.Kind() != expr.ListKind {
		return textOf(value)
	}
	var b strings.Builder // AWS: "[item1, item2]"
	for i, item := range value.List().Items() {
		if b.WriteString([]string{"[", ", "}[min(i, 1)]); b.Len() > maxKey {
			return ""
		}
		b.WriteString(textOf(item))
	}
	if b.Len() == 0 {
		return "[]"
	}
	return b.String() + "]"
}

func textOf(v expr.Value) string {
	text, err := v.Text(maxKey)
	if err != nil || len(text) > maxKey {
		return ""
	}
	return text
}
