package event

import (
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// plainType is what content is of an answer that says a status and no type.
const plainType = "text/plain;charset=utf-8"

// readHTTPAnswer reads a function's answer on a route of an HTTP API:
//
//	{"statusCode": 200, "headers": {…}, "cookies": ["a=b"], "body": "…", "isBase64Encoded": false}
//
// In format 1.0 there is multiValueHeaders in place of cookies, and there has to be a
// statusCode. In format 2.0 everything else that is JSON, but null, is the content of an
// answer 200 itself, a text without its quotes. Members of other names mean nothing.
//
// AWS: "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", "Lambda function
// response for format 1.0" and "… 2.0".
func readHTTPAnswer(b []byte, to *proxy.Response, payload string) error {
	a := answerReader{walker: walker{text: validText(b)}, fields: to.Fields[:0], http: true}
	if err := a.readHTTP(payload); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	a.fill(to)
	return nil
}

// The errors of answers to HTTP APIs.
var (
	errNoStatus = errors.New("there is no statusCode, which format 1.0 wants")
	errNull     = errors.New("null")
)

func (a *answerReader) readHTTP(payload string) error {
	if err := a.valid(); err != nil {
		return err
	}
	switch {
	case a.has(`"statusCode"`):
		cookies, err := a.readHTTPMembers()
		if err != nil {
			return err
		}
		return a.finishHTTP(payload, cookies)
	case payload != Format2:
		return errNoStatus
	}
	return a.infer()
}

// has reports whether the document is an object with a member of the name, which is written
// as it stands there. It reads nothing: strings are unescaped in place.
func (a *answerReader) has(name string) bool {
	if a.peek() != '{' {
		return false
	}
	begin := a.at
	defer func() { a.at = begin }()
	for first := true; a.member(first); first = false {
		at := a.at
		if a.at = a.closing() + 1; view(a.text[at:a.at]) == name {
			return true
		}
		a.skip()
	}
	return false
}

// readHTTPMembers reads an object up to its maps, and returns where cookies begins; 0 for
// none.
func (a *answerReader) readHTTPMembers() (cookies int, err error) {
	for first := true; a.member(first); first = false {
		switch name := a.name(); name {
		case "statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded":
			err = a.readMember(name)
		case "cookies":
			cookies = a.at
			a.skip()
		default:
			a.skip()
		}
		if err != nil {
			return 0, err
		}
	}
	return cookies, nil
}

// finishHTTP reads the maps of an answer with a statusCode, and decodes its body.
func (a *answerReader) finishHTTP(payload string, cookies int) error {
	var err error
	if payload == Format2 {
		err = a.readCookies(cookies)
	} else {
		err = a.readMultiValue()
	}
	if err == nil {
		err = a.readHeaders()
	}
	if err == nil {
		err = a.decode()
	}
	if err != nil {
		return err
	}
	if !a.fields.HasKnown(http1.ContentType) && len(a.body) > 0 {
		a.fields = http1.AppendKnown(a.fields, http1.ContentType, plainType)
	}
	return nil
}

// readCookies adds a field Set-Cookie for each member of the list at cookies; they stand
// before the one of headers.
func (a *answerReader) readCookies(cookies int) error {
	if cookies == 0 {
		return nil
	}
	a.at = cookies
	switch a.peek() {
	case 'n':
		return nil
	case '[':
	default:
		return fmt.Errorf("cookies is %s, not a list", a.kind())
	}
	for first := true; a.element(first); first = false {
		if a.peek() != '"' {
			return fmt.Errorf("a cookie is %s, not a string", a.kind())
		}
		f, _, err := a.readField("Set-Cookie")
		if err != nil {
			return err
		}
		a.fields = append(a.fields, f)
	}
	a.multiple = len(a.fields)
	return nil
}

// infer makes the whole document the content.
func (a *answerReader) infer() error {
	a.status, a.encoded = 200, false
	switch a.peek() {
	case 'n':
		return errNull
	case '"':
		a.body = a.stringBytes()
	default:
		begin := a.at
		a.skip()
		a.body = a.text[begin:a.at]
	}
	a.fields = http1.AppendKnown(a.fields[:0], http1.ContentType, "application/json")
	return nil
}
