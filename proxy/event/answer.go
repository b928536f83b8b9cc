package event

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// ErrMalformed is the error of every answer that ReadAnswer refuses; what is
// wrong wraps it. AWS logs "Malformed Lambda proxy response" and answers 502.
var ErrMalformed = errors.New("malformed proxy answer")

// maxAnswerFields bounds the header values of one answer.
const maxAnswerFields = 1000

// maxStatusCode and minStatusCode bound statusCode: an answer can't be
// informational, for the exchange ends with it.
const (
	minStatusCode = 200
	maxStatusCode = 599
)

// ReadAnswer reads b, a function's answer in the form of AWS_PROXY, into to:
//
//	{"statusCode": 200, "headers": {…}, "multiValueHeaders": {…}, "body": "…", "isBase64Encoded": false}
//
// Every member may be absent, and no other is allowed. It replaces all of *to,
// whose Fields' memory it uses again; nothing in *to refers to b afterwards.
// After an error, which is an ErrMalformed and says what is wrong, *to is
// undefined.
//
// AWS: "Output format of a Lambda function for proxy integration", and the
// rules recorded from AWS: "Output format of a Lambda function for proxy integration".
//
// isBase64Encoded alone decides whether the body is decoded; ReadAnswerFor asks
// the client, too.
func ReadAnswer(b []byte, to *proxy.Response) error {
	return readAnswer(b, to, decodes)
}

// ReadAnswerFor is ReadAnswer for the client of ex. AWS: where the API has binary
// media types, an encoded body is decoded only if the first type of Accept is
// among them, and else goes out as it is. Differs from AWS in an API without any:
// there isBase64Encoded alone decides, so that what a function says is what the
// client gets. In a custom integration all of b is content.
func ReadAnswerFor(b []byte, to *proxy.Response, ex *proxy.Exchange) error {
	if ex.Out.Custom {
		*to = proxy.Response{Status: 200, Fields: to.Fields[:0], Content: bytes.Clone(b), Length: int64(len(b))}
		to.Fields.Add("Content-Type", "application/json")
		return nil
	}
	if ex.HTTP {
		return readHTTPAnswer(b, to, ex.Route.Payload)
	}
	binary := ex.Route.Stage.API.Binary
	if len(binary) > 0 && !binary.Has(ex.In.Fields.GetKnown(http1.Accept)) {
		return readAnswer(b, to, keepsEncoded)
	}
	return readAnswer(b, to, decodes)
}

// What becomes of a body that isBase64Encoded says is encoded.
type encodedBody bool

const (
	decodes      encodedBody = false
	keepsEncoded encodedBody = true
)

func readAnswer(b []byte, to *proxy.Response, how encodedBody) error {
	a := answerReader{walker: walker{text: validText(b)}, fields: to.Fields[:0], how: how}
	if err := a.read(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	a.fill(to)
	return nil
}

// validText returns a copy of b that is UTF-8.
func validText(b []byte) []byte {
	text := bytes.Clone(b)
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return text
}

// fill makes what was read all of *to.
func (a *answerReader) fill(to *proxy.Response) {
	if a.status == 204 || a.status == 304 { // RFC 9110, 6.4.1: never with content
		a.body = nil
	}
	*to = proxy.Response{Status: a.status, Fields: a.fields, Content: a.body, Length: int64(len(a.body))}
}

// answerReader reads one answer. The document is valid JSON by then.
type answerReader struct {
	walker
	status  int
	body    []byte
	encoded bool
	how     encodedBody
	http    bool // it is for an HTTP API

	fields     http1.Fields
	multiple   int // so many of fields come from multiValueHeaders
	headers    int // where the value of headers begins; 0 for none
	multiValue int // the same of multiValueHeaders
}

func (a *answerReader) read() error {
	if err := a.valid(); err != nil {
		return err
	}
	if a.peek() != '{' {
		return fmt.Errorf("%s instead of an object", a.kind())
	}
	a.status = 200
	for first := true; a.member(first); first = false {
		if err := a.readMember(a.name()); err != nil {
			return err
		}
	}
	// Both maps are read after the rest, for their order in the document doesn't count.
	if err := a.readMultiValue(); err != nil {
		return err
	}
	if err := a.readHeaders(); err != nil {
		return err
	}
	return a.decode()
}

// decode decodes the body, if it is encoded.
func (a *answerReader) decode() error {
	if a.encoded && a.how == decodes && len(a.body) > 0 {
		n, err := base64.StdEncoding.Decode(a.body, a.body)
		if err != nil {
			return fmt.Errorf("body isn't base64 as isBase64Encoded says: %w", err)
		}
		a.body = a.body[:n]
	}
	return nil
}

func (a *answerReader) readMember(name string) (err error) {
	switch name {
	case "statusCode":
		a.status, err = a.readStatus()
		return err
	case "headers":
		a.headers = a.at
		return a.skipObject(name)
	case "multiValueHeaders":
		a.multiValue = a.at
		return a.skipObject(name)
	case "body":
		switch a.peek() {
		case '"':
			a.body = a.stringBytes()
		case 'n':
			a.skip()
			a.body = nil
		default:
			return fmt.Errorf("body is %s, not a string", a.kind())
		}
		return nil
	case "isBase64Encoded":
		switch a.peek() {
		case 't', 'f':
			a.encoded = a.peek() == 't'
		case 'n':
			a.encoded = false
		default:
			return fmt.Errorf("isBase64Encoded is %s, not a boolean", a.kind())
		}
		a.skip()
		return nil
	}
	return fmt.Errorf("member %q isn't one of an answer", shortened(name))
}

// skipObject skips an object or null.
func (a *answerReader) skipObject(name string) error {
	if c := a.peek(); c != '{' && c != 'n' {
		return fmt.Errorf("%s is %s, not an object", name, a.kind())
	}
	a.skip()
	return nil
}

// readStatus reads a number or, as AWS also takes, a string with one.
func (a *answerReader) readStatus() (int, error) {
	var digits []byte
	switch c := a.peek(); {
	case c == '"':
		digits = a.stringBytes()
	case c == 'n':
		a.skip()
		return 200, nil
	case c == '-' || isDigit(c):
		digits = a.scalar()
	default:
		return 0, fmt.Errorf("statusCode is %s, not a number", a.kind())
	}
	status := 0
	for _, c := range digits {
		if !isDigit(c) || len(digits) > 3 {
			return 0, fmt.Errorf("statusCode %q isn't a whole number from %d to %d", shortened(string(digits)), minStatusCode, maxStatusCode)
		}
		status = 10*status + int(c-'0')
	}
	if status < minStatusCode || status > maxStatusCode {
		return 0, fmt.Errorf("statusCode %q isn't from %d to %d", digits, minStatusCode, maxStatusCode)
	}
	return status, nil
}

// readMultiValue adds the fields of multiValueHeaders. AWS, recorded: its
// values are lists; their spelling of a name wins.
func (a *answerReader) readMultiValue() error {
	if a.multiValue == 0 {
		return nil
	}
	a.at = a.multiValue
	if a.peek() != '{' {
		return nil
	}
	for first := true; a.member(first); first = false {
		name := a.name()
		if a.peek() != '[' {
			return fmt.Errorf("multiValueHeaders: %s is %s, not a list", shortened(name), a.kind())
		}
		for first := true; a.element(first); first = false {
			f, passes, err := a.readField(name)
			if err != nil {
				return err
			}
			if passes {
				a.fields = append(a.fields, f)
			}
		}
	}
	a.multiple = len(a.fields)
	return nil
}

// readHeaders adds the fields of headers. AWS, recorded: the value of a name
// that multiValueHeaders has too goes behind those, in their spelling.
func (a *answerReader) readHeaders() error {
	if a.headers == 0 {
		return nil
	}
	a.at = a.headers
	if a.peek() != '{' {
		return nil
	}
	for first := true; a.member(first); first = false {
		f, passes, err := a.readField(a.name())
		if err != nil {
			return err
		}
		if passes {
			a.addSingle(f)
		}
	}
	return nil
}

// readField reads the value of a header. passes is false for a field that a
// reply doesn't take from a function.
func (a *answerReader) readField(name string) (f http1.Field, passes bool, err error) {
	var value string
	switch a.peek() {
	case '"':
		value = strings.Trim(view(a.stringBytes()), " \t")
	case 't', 'f':
		value = view(a.scalar())
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if !a.http { // AWS, recorded
			return f, false, fmt.Errorf("header %s is %s, neither a string nor a boolean", shortened(name), a.kind())
		}
		value = view(a.scalar())
	default:
		return f, false, fmt.Errorf("header %s is %s, neither a string nor a boolean", shortened(name), a.kind())
	}
	switch {
	case !http1.ValidFieldName(name):
		return f, false, fmt.Errorf("%q isn't a header name", shortened(name))
	case !http1.ValidFieldValue(value):
		return f, false, fmt.Errorf("header %s: the value holds a control character", shortened(name))
	case len(a.fields) == maxAnswerFields:
		return f, false, fmt.Errorf("more than %d header values", maxAnswerFields)
	}
	f = http1.NewField(name, value)
	renamed, drop := reply(f.Known())
	if a.http && renamed != "" { // the gateway's own, under no other name
		return f, f.Known() == http1.Server, nil
	}
	if renamed != "" {
		f = http1.NewField(renamed, value)
	}
	return f, !drop, nil
}

// addSingle adds a field of headers, which a further one of the same spelling
// replaces, as in any JSON object.
func (a *answerReader) addSingle(f http1.Field) {
	last := -1
	for i := range a.multiple {
		if len(a.fields[i].Name) != len(f.Name) || !strings.EqualFold(a.fields[i].Name, f.Name) {
			continue
		}
		if a.fields[i].Value == f.Value {
			return // said already
		}
		last = i
	}
	if last >= 0 {
		f = http1.NewField(a.fields[last].Name, f.Value)
		a.fields = slices.Insert(a.fields, last+1, f)
		a.multiple++
		return
	}
	for i := a.multiple; i < len(a.fields); i++ {
		if a.fields[i].Name == f.Name {
			a.fields[i] = f
			return
		}
	}
	a.fields = append(a.fields, f)
}

// reply says what becomes of a field of an answer: another name, or nothing.
// AWS: "Amazon API Gateway important notes", recorded for Lambda proxies. What belongs to the
// connection is the server's, the ids are the gateway's.
func reply(k http1.Known) (renamed string, drop bool) {
	switch k {
	case http1.Connection:
		return "x-amzn-Remapped-Connection", false
	case http1.ContentLength:
		return "x-amzn-Remapped-Content-Length", false
	case http1.Date:
		return "x-amzn-Remapped-Date", false
	case http1.Server:
		return "x-amzn-Remapped-Server", false
	case http1.TransferEncoding, http1.KeepAlive, http1.ProxyConnection, http1.TE, http1.Trailer, http1.Upgrade, http1.HTTP2Settings,
		http1.XAmznRequestID, http1.XAmzApigwID, http1.XAmznTraceID:
		return "", true
	}
	return "", false
}

// shortened keeps a function's text from filling the log.
func shortened(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
