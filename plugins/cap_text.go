package plugins

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/postern-gateway/postern/proxy/uri"
	"github.com/postern-gateway/postern/sdk/abi"
)

// textFunctions are regular expressions and encodings.
func textFunctions() hostModule {
	return native(abi.ModuleText, "text", map[string]hostCall{
		"regex":   func(in *instance, s []uint64) { answer(s, in.compileRegex(in.text(s[0], s[1]))) },
		"match":   (*instance).matchRegex,
		"find":    (*instance).findRegex,
		"replace": (*instance).replaceRegex,
		"encode":  (*instance).encode,
		"decode":  (*instance).decode,
	})
}

// workPerCompile is what an instruction of an expression costs to compile, in
// nanoseconds.
const workPerCompile = 1000

// compileRegex compiles pattern. The size of its program is looked at before the
// program is used: "(a{1000}){1000}" is a short text.
func (in *instance) compileRegex(pattern string) int32 {
	if len(pattern) > abi.MaxPattern {
		return abi.Limit
	}
	if !utf8.ValidString(pattern) {
		return abi.BadArgument
	}
	pattern = strings.Clone(pattern)
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		in.explain("regex", err)
		return abi.BadArgument
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		in.explain("regex", err)
		return abi.BadArgument
	}
	weight := len(program.Inst)
	if weight > abi.MaxProgram || !in.charge(weight*workPerCompile) {
		return abi.Limit
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		in.explain("regex", err)
		return abi.BadArgument
	}
	return number(&in.held().regexes, &expression{compiled, weight})
}

// regex returns the expression with the number n if it may be looked for in
// text, else a code.
func (in *instance) regex(n uint64, text string) (*expression, int32) {
	e, ok := numbered(in.held().regexes, n)
	switch {
	case !ok || !utf8.ValidString(text):
		return nil, abi.BadArgument
	case !in.charge((len(text) + 64) * e.weight):
		return nil, abi.Limit
	}
	return e, abi.OK
}

func (in *instance) matchRegex(s []uint64) {
	text := in.text(s[1], s[2])
	e, code := in.regex(s[0], text)
	if code == abi.OK && e.MatchString(text) {
		code = 1
	}
	answer(s, code)
}

func (in *instance) findRegex(s []uint64) {
	text, group := in.text(s[1], s[2]), s[3]
	e, code := in.regex(s[0], text)
	if code != abi.OK {
		answer(s, code)
		return
	}
	if group > uint64(e.NumSubexp()) {
		answer(s, abi.BadArgument)
		return
	}
	at := e.FindStringSubmatchIndex(text)
	if at == nil || at[2*group] < 0 {
		answer(s, abi.NotFound)
		return
	}
	answer(s, in.put(s[4], s[5], text[at[2*group]:at[2*group+1]]))
}

func (in *instance) replaceRegex(s []uint64) {
	text, by := in.text(s[1], s[2]), in.text(s[3], s[4])
	e, code := in.regex(s[0], text)
	if code != abi.OK {
		answer(s, code)
		return
	}
	if !utf8.ValidString(by) {
		answer(s, abi.BadArgument)
		return
	}
	h := in.held()
	h.scratch = h.scratch[:0]
	done := 0
	for _, at := range e.FindAllStringSubmatchIndex(text, -1) {
		h.scratch = append(h.scratch, text[done:at[0]]...)
		h.scratch = e.ExpandString(h.scratch, by, text, at)
		done = at[1]
		if len(h.scratch) > abi.MaxBody {
			answer(s, abi.Limit)
			return
		}
	}
	h.scratch = append(h.scratch, text[done:]...)
	answer(s, in.putBytes(s[5], s[6], h.scratch))
}

func (in *instance) encode(s []uint64) {
	data := in.view(s[1], s[2])
	if len(data) > abi.MaxBody || !in.charge(4*len(data)) {
		answer(s, abi.Limit)
		return
	}
	h := in.held()
	h.scratch = h.scratch[:0]
	switch s[0] {
	case abi.Base64:
		h.scratch = base64.StdEncoding.AppendEncode(h.scratch, data)
	case abi.Base64URL:
		h.scratch = base64.RawURLEncoding.AppendEncode(h.scratch, data)
	case abi.Hex:
		h.scratch = hex.AppendEncode(h.scratch, data)
	case abi.Percent, abi.Form:
		h.scratch = appendPercent(h.scratch, data, s[0] == abi.Form)
	default:
		answer(s, abi.BadArgument)
		return
	}
	answer(s, in.putBytes(s[3], s[4], h.scratch))
}

// appendPercent appends data with all but unreserved characters as escapes.
func appendPercent(dst, data []byte, form bool) []byte {
	for _, c := range data {
		if c == ' ' && form {
			dst = append(dst, '+')
			continue
		}
		dst = uri.AppendEscaped(dst, c)
	}
	return dst
}

func (in *instance) decode(s []uint64) {
	text := in.view(s[1], s[2])
	if len(text) > abi.MaxBody || !in.charge(4*len(text)) {
		answer(s, abi.Limit)
		return
	}
	h := in.held()
	var err error
	switch s[0] {
	case abi.Base64:
		h.scratch, err = base64.RawStdEncoding.AppendDecode(h.scratch[:0], unpadded(text))
	case abi.Base64URL:
		h.scratch, err = base64.RawURLEncoding.AppendDecode(h.scratch[:0], unpadded(text))
	case abi.Hex:
		h.scratch, err = hex.AppendDecode(h.scratch[:0], text)
	case abi.Percent, abi.Form:
		plus := plusIsPlus
		if s[0] == abi.Form {
			plus = plusIsSpace
		}
		if !escapesAreGood(text) {
			answer(s, abi.BadArgument)
			return
		}
		h.scratch = appendDecoded(h.scratch[:0], unsafe.String(unsafe.SliceData(text), len(text)), plus)
	default:
		answer(s, abi.BadArgument)
		return
	}
	if err != nil {
		answer(s, abi.BadArgument)
		return
	}
	answer(s, in.putBytes(s[3], s[4], h.scratch))
}

// unpadded cuts the padding off that base64 in whole groups of four has.
func unpadded(text []byte) []byte {
	if len(text)%4 != 0 {
		return text
	}
	for range 2 {
		if n := len(text); n > 0 && text[n-1] == '=' {
			text = text[:n-1]
		}
	}
	return text
}

func escapesAreGood(text []byte) bool {
	for i, c := range text {
		if c == '%' {
			if _, ok := uri.Unescape(text, i); !ok {
				return false
			}
		}
	}
	return true
}
