package event

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// httpExchange is an exchange of an HTTP API's route whose events have a format.
func httpExchange(payload, line string, fields ...string) *proxy.Exchange {
	ex := newExchange(line, fields...)
	ex.HTTP, ex.Route.Payload = true, payload
	return ex
}

func TestHTTPAnswer(t *testing.T) {
	to := proxy.Response{Status: 500, Fields: http1.Fields{{Name: "Old", Value: "1"}}}
	f := func(payload, document, want string) {
		t.Helper()
		b := []byte(document)
		if err := ReadAnswerFor(b, &to, httpExchange(payload, "GET /")); err != nil {
			t.Errorf("%s: %v", document, err)
			return
		}
		clear(b)
		if got := shown(&to); got != want || to.Length != int64(len(to.Content)) {
			t.Errorf("%s:\ngot  %s\nwant %s", document, got, want)
		}
	}
	// What has no statusCode is content itself.
	const json = "Content-Type: application/json | "
	f("2.0", `{"message":"hi"}`, "200 | "+json+`{"message":"hi"}`)
	f("2.0", ` {"a\u0062": "c\n", "body": "\u00e9"} `, "200 | "+json+`{"a\u0062": "c\n", "body": "\u00e9"}`)
	f("2.0", `"a \"text\""`, "200 | "+json+`a "text"`)
	f("2.0", `[1, 2]`, "200 | "+json+"[1, 2]")
	f("2.0", ` 12 `, "200 | "+json+"12")
	f("2.0", `false`, "200 | "+json+"false")
	f("2.0", `{}`, "200 | "+json+"{}")
	f("2.0", `{"headers":{"statusCode":"1"},"x":["statusCode"]}`, "200 | "+json+`{"headers":{"statusCode":"1"},"x":["statusCode"]}`)
	// Everything else.
	f("2.0", `{"statusCode":201,"body":"x"}`, "201 | Content-Type: text/plain;charset=utf-8 | x")
	f("2.0", `{"statusCode":"404","headers":{"content-type":"a/b"},"body":"x","more":{"a":[]}}`, "404 | content-type: a/b | x")
	f("2.0", `{"headers":{"Set-Cookie":"c=3","X":7},"cookies":["a=1; Secure","b=2"],"statusCode":200}`,
		"200 | Set-Cookie: a=1; Secure | Set-Cookie: b=2 | Set-Cookie: c=3 | X: 7 | ")
	f("2.0", `{"statusCode":200,"cookies":null,"multiValueHeaders":{"X":["1"]}}`, "200 | ")
	f("2.0", `{"statusCode":200,"isBase64Encoded":true,"body":"aGk="}`, "200 | Content-Type: text/plain;charset=utf-8 | hi")
	f("2.0", `{"statusCode":204,"body":"x"}`, "204 | Content-Type: text/plain;charset=utf-8 | ")
	f("2.0", `{"statusCode":200,"headers":{"Connection":"a","Date":"b","Content-Length":"1","Server":"s","Transfer-Encoding":"chunked"}}`, "200 | Server: s | ")
	f("1.0", `{"statusCode":200,"multiValueHeaders":{"X":["1","2"]},"headers":{"x":"3"},"cookies":["a=1"],"body":"b"}`,
		"200 | X: 1 | X: 2 | X: 3 | Content-Type: text/plain;charset=utf-8 | b")
}

func TestHTTPAnswerRefused(t *testing.T) {
	f := func(payload, document string) {
		t.Helper()
		var to proxy.Response
		if err := ReadAnswerFor([]byte(document), &to, httpExchange(payload, "GET /")); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %s", document, err, shown(&to))
		}
	}
	f("2.0", ``)
	f("2.0", `null`)
	f("2.0", `{"statusCode":200`)
	f("2.0", `{"statusCode":200,"body":{"a":1}}`)
	f("2.0", `{"statusCode":100}`)
	f("2.0", `{"statusCode":200,"cookies":{"a":"b"}}`)
	f("2.0", `{"statusCode":200,"cookies":[1]}`)
	f("2.0", `{"statusCode":200,"cookies":["a\r\nb"]}`)
	f("2.0", `{"statusCode":200,"headers":{"X":[]}}`)
	f("2.0", `{"statusCode":200,"isBase64Encoded":true,"body":"%"}`)
	f("1.0", `{"body":"x"}`)
	f("1.0", `"x"`)
	f("1.0", `{"statusCode":200,"multiValueHeaders":{"X":"1"}}`)
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, seed := range []string{`{"statusCode":200,"cookies":["a"],"headers":{"A":1},"body":"\u00e9"}`, `{"a":"\""}`, `"\ud834"`, `[{"statusCode":1}]`, `{"statusCode":null}`} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, document []byte, two bool) {
		payload := "1.0"
		if two {
			payload = Format2
		}
		var to proxy.Response
		err := ReadAnswerFor(document, &to, httpExchange(payload, "GET /"))
		if err != nil {
			return
		}
		if !json.Valid(document) {
			t.Fatalf("%q was read", document)
		}
		if to.Status < 200 || to.Status > 599 {
			t.Errorf("status %d", to.Status)
		}
		for _, f := range to.Fields {
			if !http1.ValidFieldName(f.Name) || !http1.ValidFieldValue(f.Value) {
				t.Errorf("the field %q: %q", f.Name, f.Value)
			}
		}
	})
}
