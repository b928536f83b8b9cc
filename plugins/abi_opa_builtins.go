package plugins

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/jose"
)

// provides lists what policies import. Their builtins come by numbers, which each
// policy gives out itself.
func (opaABI) provides() []hostModule {
	m := hostModule{name: "env", functions: []hostFunc{
		{"opa_abort", "i", "", 0, func(in *instance, s []uint64) {
			text, err := in.textAt(s[0])
			if err != nil {
				panic(err)
			}
			panic(fmt.Errorf("the policy gave up: %s", bytes.ToValidUTF8(text, nil)))
		}},
		{"opa_println", "i", "", 0, func(in *instance, s []uint64) {
			if text, err := in.textAt(s[0]); err == nil {
				in.log(zapcore.InfoLevel, text)
			}
		}},
	}}
	for n := range 5 {
		m.functions = append(m.functions, hostFunc{
			"opa_builtin" + strconv.Itoa(n), "ii" + strings.Repeat("i", n), "i", 0,
			func(in *instance, s []uint64) { s[0] = in.builtinOPA(s[0], s[2:2+n]) },
		})
	}
	return []hostModule{m}
}

// opaBuiltin computes a builtin that policies need the host for. What it returns
// is a value as JSON, or an error if it is undefined for these arguments.
type opaBuiltin struct {
	arguments int
	work      int // roughly, in nanoseconds, besides that for the arguments' bytes
	run       func(in *instance, a []opaArgument) ([]byte, error)
}

// opaArgument is one argument of a builtin.
type opaArgument struct {
	*document.Document
	root document.Node
}

var errUndefined = errors.New("not defined for these arguments")

// text returns a string; everything else is undefined.
func (a opaArgument) text() (string, error) {
	if a.Kind(a.root) != document.String {
		return "", errUndefined
	}
	return a.Text(a.root), nil
}

// opaBuiltins are the builtins that the host has, by name. What needs a network or
// the machine isn't among them, and what OPA's compiler puts into the policy
// itself needn't be.
func opaBuiltins() map[string]opaBuiltin {
	onText := func(work int, f func(s string) ([]byte, error)) opaBuiltin {
		return opaBuiltin{1, work, func(_ *instance, a []opaArgument) ([]byte, error) {
			s, err := a[0].text()
			if err != nil {
				return nil, err
			}
			return f(s)
		}}
	}
	quoted := func(f func(s string) string) opaBuiltin {
		return onText(blocks(0), func(s string) ([]byte, error) { return document.AppendString(nil, f(s)), nil })
	}
	return map[string]opaBuiltin{
		"time.now_ns":            {0, 0, timeNow},
		"time.parse_rfc3339_ns":  onText(1000, parseTime),
		"time.parse_duration_ns": onText(1000, parseDuration),
		"sprintf":                {2, 1000, sprintf},
		"hex.encode":             quoted(func(s string) string { return hex.EncodeToString([]byte(s)) }),
		"hex.decode":             onText(0, decodeHex),
		"urlquery.encode":        quoted(url.QueryEscape),
		"urlquery.decode":        onText(0, decodeQuery),
		"crypto.md5":             quoted(func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"crypto.sha1":            quoted(func(s string) string { sum := sha1.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"crypto.sha256":          quoted(func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"crypto.hmac.sha256":     {2, blocks(0), macSHA256},
		"crypto.hmac.equal":      {2, 0, macEqual},
		"io.jwt.decode":          onText(1000, decodeToken),
		"io.jwt.decode_verify":   {2, workPerVerify, verifyToken},
		"internal.print":         {1, 1000, printOPA},
		"trace":                  {1, 1000, traceOPA},
	}
}

// linkOPA asks the policy which builtins it wants from the host, and by which
// numbers.
func (in *instance) linkOPA(f api.Function) (map[uint64]opaBuiltin, error) {
	wanted, err := in.numbersOPA(f)
	if err != nil {
		return nil, err
	}
	known, missing, linked := opaBuiltins(), []string(nil), map[uint64]opaBuiltin{}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		b, ok := known[name]
		if !ok {
			missing = append(missing, name)
			continue
		}
		linked[wanted[name]] = b
	}
	if missing != nil {
		hint := "what isn't compiled into policies and is here: " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		if slices.Contains(missing, "http.send") {
			hint = "a policy sends no requests: give it what it has to know by config.data; " + hint
		}
		return nil, refuse(hint, "the policy uses builtins that aren't here: %s", strings.Join(missing, ", "))
	}
	return linked, nil
}

// builtinOPA computes the builtin with this number. Its result is the address of a
// value, 0 when it is undefined.
func (in *instance) builtinOPA(number uint64, arguments []uint64) uint64 {
	b, ok := in.opa.builtins[number]
	if !ok || b.arguments != len(arguments) {
		panic(fmt.Errorf("the policy calls builtin %d with %d arguments, which it hasn't declared", number, len(arguments)))
	}
	result, err := in.computeOPA(&b, arguments)
	if errors.As(err, new(*failure)) {
		panic(err) // the policy's own code failed
	}
	if err != nil {
		in.explain("builtin", err)
		return 0
	}
	value, err := in.parseOPA(result)
	if err != nil {
		panic(err)
	}
	return value
}

func (in *instance) computeOPA(b *opaBuiltin, addresses []uint64) ([]byte, error) {
	arguments, work := make([]opaArgument, len(addresses)), b.work
	for i, at := range addresses {
		text, err := in.dumpOPA(at)
		if err != nil {
			return nil, err
		}
		work += len(text) * workPerByte
		d, err := document.Parse(bytes.Clone(text))
		if err != nil {
			return nil, err
		}
		arguments[i] = opaArgument{d, d.Root()}
	}
	if !in.charge(work) {
		return nil, errors.New("the call has had too much work done")
	}
	return b.run(in, arguments)
}

// timeNow is the same throughout an evaluation.
func timeNow(in *instance, _ []opaArgument) ([]byte, error) {
	if in.opa.now == 0 {
		in.opa.now = in.plugin.host.clock().UnixNano()
	}
	return strconv.AppendInt(nil, in.opa.now, 10), nil
}

func parseTime(s string) ([]byte, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, err
	}
	return strconv.AppendInt(nil, t.UnixNano(), 10), nil
}

func parseDuration(s string) ([]byte, error) {
	d, err := time.ParseDuration(s)
	return strconv.AppendInt(nil, int64(d), 10), err
}

func decodeHex(s string) ([]byte, error) {
	b, err := hex.DecodeString(s)
	return document.AppendString(nil, string(b)), err
}

func decodeQuery(s string) ([]byte, error) {
	plain, err := url.QueryUnescape(s)
	return document.AppendString(nil, plain), err
}

func bothTexts(a []opaArgument) (one, other string, err error) {
	if one, err = a[0].text(); err == nil {
		other, err = a[1].text()
	}
	return one, other, err
}

func macSHA256(_ *instance, a []opaArgument) ([]byte, error) {
	text, key, err := bothTexts(a)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return document.AppendString(nil, hex.EncodeToString(mac.Sum(nil))), err
}

func macEqual(_ *instance, a []opaArgument) ([]byte, error) {
	one, other, err := bothTexts(a)
	return strconv.AppendBool(nil, hmac.Equal([]byte(one), []byte(other))), err
}

// sprintf formats a list of values as Go does: whole numbers as integers, others
// as floats, texts as they are, and the rest as JSON.
func sprintf(_ *instance, a []opaArgument) ([]byte, error) {
	format, err := a[0].text()
	list := a[1]
	if err != nil || list.Kind(list.root) != document.Array || wide(format) {
		return nil, errUndefined
	}
	var values []any
	for i := range list.Count(list.root) {
		n := list.At(list.root, i)
		text := list.Text(n)
		switch list.Kind(n) {
		case document.String:
			values = append(values, text)
		case document.Number:
			if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
				values = append(values, whole)
			} else if float, err := strconv.ParseFloat(text, 64); err == nil {
				values = append(values, float)
			} else {
				values = append(values, text)
			}
		default:
			values = append(values, string(list.Append(nil, n)))
		}
	}
	return document.AppendString(nil, fmt.Sprintf(format, values...)), nil
}

// wide reports whether a format asks for fields of a thousand characters or more,
// by which a short one makes long texts.
func wide(format string) bool {
	digits := 0
	for i := range len(format) {
		if '0' <= format[i] && format[i] <= '9' {
			digits++
		} else {
			digits = 0
		}
		if digits > 3 || format[i] == '*' {
			return true
		}
	}
	return false
}

// decodeToken takes a JWT apart without a look at its signature.
func decodeToken(token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, jose.ErrToken
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, err
		}
	}
	for _, text := range decoded[:2] {
		if d, err := document.Parse(text); err != nil || d.Kind(d.Root()) != document.Object {
			return nil, jose.ErrToken
		}
	}
	return fmt.Appendf(nil, "[%s,%s,%q]", decoded[0], decoded[1], hex.EncodeToString(decoded[2])), nil
}

// refusedToken is what verifying a token gives that isn't good.
const refusedToken = "[false,{},{}]"

// verifyToken checks a JWT against constraints: cert (a JWK, a JWK set or PEM), and
// if they are there, alg, iss, aud and time. Shared secrets aren't taken: whoever
// can check a token with one can make one.
func verifyToken(in *instance, a []opaArgument) ([]byte, error) {
	token, err := a[0].text()
	if err != nil {
		return nil, err
	}
	rules := a[1]
	wanted := map[string]document.Node{}
	for i := range rules.Count(rules.root) {
		n := rules.At(rules.root, i)
		switch rules.Name(n) {
		case "cert", "alg", "iss", "aud", "time":
			wanted[rules.Name(n)] = n
		default:
			return nil, fmt.Errorf("io.jwt.decode_verify: the constraint %q isn't here", rules.Name(n))
		}
	}
	cert, ok := wanted["cert"]
	if !ok {
		return nil, errors.New("io.jwt.decode_verify: there is no cert")
	}
	keys, err := jose.ParseKeys([]byte(rules.Text(cert)))
	if err != nil {
		return nil, err
	}
	now := in.plugin.host.clock()
	if n, ok := wanted["time"]; ok {
		at, err := strconv.ParseInt(rules.Text(n), 10, 64)
		if err != nil {
			return nil, err
		}
		now = time.Unix(0, at)
	}
	parts, err := decodeToken(token)
	if err != nil {
		return []byte(refusedToken), nil
	}
	d, err := document.Parse(parts)
	if err != nil {
		return []byte(refusedToken), nil
	}
	header, claims := d.At(d.Root(), 0), d.At(d.Root(), 1)
	agrees := func(object document.Node, member, rule string) bool {
		n, ruled := wanted[rule]
		has, found := d.Member(object, member)
		return !ruled || found && d.Text(has) == rules.Text(n)
	}
	if _, err := keys.VerifyToken(token, now, 0); err != nil || !agrees(header, "alg", "alg") || !agrees(claims, "iss", "iss") || !audience(d, claims, rules, wanted) {
		return []byte(refusedToken), nil
	}
	out := d.Append([]byte("[true,"), header)
	return append(d.Append(append(out, ','), claims), ']'), nil
}

// audience reports whether a token is for who the constraint names. OPA: a token
// with an audience is for nobody else, one without is for those who name none.
func audience(d *document.Document, claims document.Node, rules opaArgument, wanted map[string]document.Node) bool {
	n, ruled := wanted["aud"]
	aud, found := d.Member(claims, "aud")
	switch {
	case ruled != found:
		return false
	case !ruled:
		return true
	case d.Kind(aud) != document.Array:
		return d.Text(aud) == rules.Text(n)
	}
	for i := range d.Count(aud) {
		if d.Text(d.At(aud, i)) == rules.Text(n) {
			return true
		}
	}
	return false
}

// printOPA logs what print says: a list of its operands, each a set of one value,
// or an empty one if it is undefined.
func printOPA(in *instance, a []opaArgument) ([]byte, error) {
	list := a[0]
	var line []byte
	for i := range list.Count(list.root) {
		if i > 0 {
			line = append(line, ' ')
		}
		operand := list.At(list.root, i)
		if list.Count(operand) == 0 {
			line = append(line, "<undefined>"...)
			continue
		}
		if value := list.At(operand, 0); list.Kind(value) == document.String {
			line = append(line, list.Text(value)...)
		} else {
			line = list.Append(line, value)
		}
	}
	in.log(zapcore.InfoLevel, line)
	return []byte("true"), nil
}

// traceOPA logs what trace says.
func traceOPA(in *instance, a []opaArgument) ([]byte, error) {
	text, err := a[0].text()
	in.log(zapcore.InfoLevel, []byte(text))
	return []byte("true"), err
}
