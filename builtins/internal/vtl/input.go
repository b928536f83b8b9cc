package vtl

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/expr"
)

// input is $input.
type input struct {
	plain
	r      *run
	params *expr.Map // of params()
}

func (n *input) property(_ *run, s *step) (expr.Value, error) {
	if s.method == mGetBody {
		return expr.String(n.r.env.Body.String()), nil
	}
	return expr.Value{}, nil
}

func (n *input) call(c *call) (expr.Value, bool, error) {
	switch c.method {
	case mGetBody:
		return c.plain(expr.String(n.r.env.Body.String()))
	case mPath, mJson:
		if !c.fits("s") {
			return c.none()
		}
		if c.null {
			return expr.Value{}, true, errNull
		}
		v, err := n.path(c)
		if err != nil || c.method == mPath {
			return v, true, err
		}
		return n.json(c, v)
	case mParams:
		if len(c.args) == 0 {
			return c.result(n.all())
		}
		if c.fits("s") {
			return c.result(expr.String(n.param(c.str(0))))
		}
	}
	return c.none()
}

// path returns what a path leads to in the document; null if to nothing. A body
// that is no JSON is a string, which $ alone leads to.
func (n *input) path(c *call) (expr.Value, error) {
	p, err := c.compiledPath()
	if err != nil {
		return expr.Value{}, err
	}
	if n.r.env.Body == nil {
		n.r.env.Body = NewBody(nil)
	}
	body := n.r.env.Body
	if body.state == bodyUnread {
		if err := n.r.spend(len(body.text) >> 4); err != nil {
			return expr.Value{}, err
		}
	}
	root, err := body.Document()
	if err != nil {
		return expr.Value{}, nil // no JSON at all has nothing anywhere
	}
	v, err := p.Eval(root)
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, expr.ErrTooLarge):
		return v, err
	case p.Definite():
		return expr.Value{}, nil
	}
	return expr.OfList(expr.NewJSONArray()), nil
}

// compiledPath returns the path that is the first argument.
func (c *call) compiledPath() (*expr.Path, error) {
	source := c.str(0)
	if c.step != nil && c.step.path != nil && c.step.path.String() == source {
		return c.step.path, nil
	}
	if p := c.r.paths[source]; p != nil {
		return p, nil
	}
	if err := c.r.spend(len(source)); err != nil {
		return nil, err
	}
	p, err := expr.Parse(source)
	if err != nil {
		return nil, err
	}
	if c.r.paths == nil {
		c.r.paths = map[string]*expr.Path{}
	}
	if len(c.r.paths) < maxCompiled {
		c.r.paths[source] = p
	}
	return p, nil
}

// json returns v as JSON text; two quote characters for null. AWS: recorded for a
// missing path.
func (n *input) json(c *call, v expr.Value) (expr.Value, bool, error) {
	if v.IsNull() {
		return c.result(expr.String(`""`))
	}
	s, err := v.JSON(n.r.limits.Output)
	if err != nil {
		return v, true, err
	}
	return c.string(s)
}

// param looks a parameter up in the path, the query and the header, the latter
// also without regard to case.
func (n *input) param(name string) string {
	p := &n.r.env.Params
	for _, pairs := range [...][]Pair{p.Path, p.Query, p.Header} {
		for i := len(pairs) - 1; i >= 0; i-- {
			if pairs[i].Name == name {
				return pairs[i].Value
			}
		}
	}
	for i := len(p.Header) - 1; i >= 0; i-- {
		if strings.EqualFold(p.Header[i].Name, name) {
			return p.Header[i].Value
		}
	}
	return ""
}

// all is params().
func (n *input) all() expr.Value {
	if n.params == nil {
		p := &n.r.env.Params
		n.params = expr.NewMap()
		n.params.Set("path", expr.OfMap(pairs(p.Path)))
		n.params.Set("querystring", expr.OfMap(pairs(p.Query)))
		n.params.Set("header", expr.OfMap(pairs(p.Header)))
	}
	return expr.OfMap(n.params)
}

// tools is $util.
type tools struct{ plain }

func (t *tools) call(c *call) (expr.Value, bool, error) {
	switch c.method {
	case mEscapeJavaScript, mUrlEncode, mUrlDecode, mBase64Encode, mBase64Decode, mParseJson:
	default:
		return c.none()
	}
	if len(c.args) != 1 {
		return c.none()
	}
	s, err := c.text(0)
	if err != nil {
		return expr.Value{}, true, err
	}
	if err := c.r.spend(len(s) >> 6); err != nil {
		return expr.Value{}, true, err
	}
	switch c.method {
	case mEscapeJavaScript:
		if len(s) > c.r.limits.Output/6 && 6*len(s) > c.r.limits.Output {
			return expr.Value{}, true, c.r.tooLarge()
		}
		return c.string(escapeJavaScript(s))
	case mUrlEncode:
		return c.string(urlEncode(s))
	case mUrlDecode:
		decoded, ok := urlDecode(s)
		if !ok {
			return c.fail("a %% without two hexadecimal digits")
		}
		return c.string(decoded)
	case mBase64Encode:
		return c.string(base64.StdEncoding.EncodeToString(expr.AppendClean([]byte(s), 0)))
	case mBase64Decode:
		// Java takes text without its padding, but not half of it.
		encoding := base64.RawStdEncoding
		if strings.HasSuffix(s, "=") {
			encoding = base64.StdEncoding
		}
		decoded, err := encoding.DecodeString(s)
		if err != nil || strings.ContainsAny(s, "\r\n") {
			return c.fail("not base64")
		}
		return c.string(expr.Decode(decoded))
	}
	v, err := expr.ParseJSONString(s)
	if err != nil {
		return c.fail("not JSON: %w", err)
	}
	return c.result(v)
}

// escapeJavaScript escapes as AWS documents it: the apostrophe, too, although JSON
// knows no such escape.
func escapeJavaScript(s string) string {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7F && s[i] != '"' && s[i] != '\'' && s[i] != '/' && s[i] != '\\' {
		i++
	}
	if i == len(s) {
		return s
	}
	dst := append(make([]byte, 0, len(s)+len(s)/8+16), s[:i]...)
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\'' || c == '/' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < ' ':
			dst = appendUnicode(dst, uint16(c))
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			n := max(1, runeLength(s[i:]))
			for _, u := range expr.UTF16(s[i : i+n]) {
				dst = appendUnicode(dst, u)
			}
			i += n
			continue
		}
		i++
	}
	return string(dst)
}

// runeLength returns how many bytes the first character of s has, three for half
// of a surrogate pair.
func runeLength(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	if n == 1 && len(s) >= 3 && s[0] == 0xED {
		return 3
	}
	return n
}

func appendUnicode(dst []byte, u uint16) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '\\', 'u', digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15])
}

// urlEncode encodes as HTML forms do.
func urlEncode(s string) string {
	const digits = "0123456789ABCDEF"
	clean := expr.AppendClean([]byte(s), 0)
	dst := make([]byte, 0, len(clean)+len(clean)/4)
	for _, c := range clean {
		switch {
		case letter(c) && c < utf8.RuneSelf, digit(c), c == '.', c == '-', c == '*', c == '_':
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(dst)
}

// urlDecode undoes urlEncode. What isn't UTF-8 becomes U+FFFD.
func urlDecode(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return strings.ReplaceAll(s, "+", " "), true
	}
	dst := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			dst = append(dst, ' ')
		case '%':
			if i+2 >= len(s) || hexValue(s[i+1]) < 0 || hexValue(s[i+2]) < 0 {
				return "", false
			}
			dst = append(dst, byte(hexValue(s[i+1])<<4|hexValue(s[i+2])))
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return expr.Decode(dst), true
}

func hexValue(c byte) int {
	switch {
	case digit(c):
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
