package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

func shown(r *proxy.Response) string {
	lines := []string{fmt.Sprint(r.Status)}
	for _, f := range r.Fields {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return strings.Join(lines, " | ") + " | " + string(r.Content)
}

func TestAnswer(t *testing.T) {
	to := proxy.Response{Status: 500, Fields: http1.Fields{{Name: "Old", Value: "1"}}, Length: 7}
	f := func(document, want string) {
		t.Helper()
		b := []byte(document)
		if err := ReadAnswer(b, &to); err != nil {
			t.Errorf("%s: %v", document, err)
			return
		}
		clear(b) // nothing of it is referred to
		if got := shown(&to); got != want || to.Length != int64(len(to.Content)) {
			t.Errorf("%s:\ngot  %s\nwant %s", document, got, want)
		}
	}
	// Recorded from AWS.
	f(`{}`, "200 | ")
	f(` {"statusCode" : 201 , "body" : "x" } `, "201 | x")
	f(`{"statusCode":"404"}`, "404 | ")
	f(`{"headers":{"A":"1"}}`, "200 | A: 1 | ")
	f(`{"headers":null,"multiValueHeaders":null,"body":null,"isBase64Encoded":null,"statusCode":null}`, "200 | ")
	f(`{"headers":{"A":true,"B":false,"C":""}}`, "200 | A: true | B: false | C:  | ")
	f(`{"multiValueHeaders":{"Set-Cookie":["a=1","b=2"],"E":[]}}`, "200 | Set-Cookie: a=1 | Set-Cookie: b=2 | ")
	f(`{"headers":{"x-test":"value-solo"},"multiValueHeaders":{"X-Test":["value-multi"]}}`, "200 | X-Test: value-multi | X-Test: value-solo | ")
	f(`{"multiValueHeaders":{"X-A":["1"],"X-B":["1","2"]},"headers":{"x-b":"1","x-a":"0","x-c":"3"}}`, "200 | X-A: 1 | X-A: 0 | X-B: 1 | X-B: 2 | x-c: 3 | ")
	f(`{"headers":{"X-A":"1","X-A":"2"},"body":"a","body":"b"}`, "200 | X-A: 2 | b")
	// Content.
	f(`{"body":"aGk=","isBase64Encoded":true}`, "200 | hi")
	f(`{"isBase64Encoded":true,"body":"/wA="}`, "200 | \xff\x00")
	f(`{"body":"aGk=","isBase64Encoded":false}`, "200 | aGk=")
	f(`{"body":"","isBase64Encoded":true}`, "200 | ")
	f(`{"body":"{\"a\":[1,\"\\u00e9\",\"\\\\\"]}"}`, `200 | {"a":[1,"\u00e9","\\"]}`)
	f(`{"body":"\u00e9\uD834\uDD1E\ud834x\udd1e \b\f\n\r\t\/"}`, "200 | é𝄞\uFFFDx\uFFFD \b\f\n\r\t/")
	f("{\"body\":\"a\xffb\"}", "200 | a\uFFFDb")
	f(`{"statusCode":204,"body":"x"}`, "204 | ")
	// Renamed, dropped. Recorded from AWS.
	f(`{"headers":{"connection":"a","Content-Length":"1","Date":"d","Server":"s","Transfer-Encoding":"chunked","Keep-Alive":"5","Upgrade":"h2c","Trailer":"X"}}`,
		"200 | x-amzn-Remapped-Connection: a | x-amzn-Remapped-Content-Length: 1 | x-amzn-Remapped-Date: d | x-amzn-Remapped-Server: s | ")
	f(`{"headers":{"x-amzn-requestid":"forged","X-Amz-Apigw-Id":"forged","Via":"v","WWW-Authenticate":"Basic"}}`, "200 | Via: v | WWW-Authenticate: Basic | ")
	f(`{"headers":{"X-A":"  1 \t"}}`, "200 | X-A: 1 | ")
}

// Whether an encoded body is decoded. AWS, recorded.
func TestAnswerFor(t *testing.T) {
	f := func(accept, want string, binary ...string) {
		t.Helper()
		ex := &proxy.Exchange{Route: &proxy.Route{Stage: &proxy.Stage{API: &proxy.API{Binary: proxy.NewMediaTypes(binary)}}}}
		if accept != "" {
			ex.In.Fields.Add("Accept", accept)
		}
		var to proxy.Response
		if err := ReadAnswerFor([]byte(`{"body":"aGk=","isBase64Encoded":true}`), &to, ex); err != nil || string(to.Content) != want {
			t.Errorf("Accept %q, binary %v: got %q, %v", accept, binary, to.Content, err)
		}
	}
	f("image/png", "hi", "image/png")
	f("image/png, */*", "hi", "image/*")
	f("text/html, image/png", "aGk=", "image/png")
	f("*/*", "aGk=", "image/png")
	f("*/*", "hi", "*/*")
	f("", "hi", "*/*")
	f("", "aGk=", "image/png")
	f("text/html", "hi")
}

func TestAnswerMalformed(t *testing.T) {
	f := func(document, want string) {
		t.Helper()
		var to proxy.Response
		err := ReadAnswer([]byte(document), &to)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %s", document, err, want)
		}
	}
	f(``, "not JSON")
	f(`{`, "not JSON")
	f(`{} {}`, "not JSON")
	f(`{'a':1}`, "not JSON")
	f(`"text"`, "a string instead of an object")
	f(`[]`, "a list instead")
	f(`null`, "null instead")
	f(`{"statusCode":200,"cookies":[]}`, `member "cookies"`)
	f(`{"StatusCode":200}`, `member "StatusCode"`)
	f(`{"status\u0043ode":200,"x":{"y":["]"]}}`, `member "x"`)
	f(`{"`+strings.Repeat("x", 5000)+`":1}`, "…")
	for _, status := range []string{`"abc"`, `""`, `" 200"`, `"2e2"`, `200.0`, `2e2`, `-200`, `1000`, `100`, `101`, `199`, `600`, `0`, `99999999999999999999`} {
		f(`{"statusCode":`+status+`}`, "statusCode")
	}
	f(`{"statusCode":true}`, "statusCode is a boolean")
	f(`{"statusCode":{}}`, "statusCode is an object")
	f(`{"headers":[]}`, "headers is a list")
	f(`{"headers":"x"}`, "headers is a string")
	f(`{"headers":{"A":1}}`, "header A is a number")
	f(`{"headers":{"A":null}}`, "header A is null")
	f(`{"headers":{"A":["x"]}}`, "header A is a list")
	f(`{"multiValueHeaders":{"A":"x"}}`, "A is a string, not a list")
	f(`{"multiValueHeaders":{"A":[1]}}`, "header A is a number")
	f(`{"multiValueHeaders":7}`, "multiValueHeaders is a number")
	f(`{"body":{}}`, "body is an object")
	f(`{"body":1}`, "body is a number")
	f(`{"isBase64Encoded":"true"}`, "isBase64Encoded is a string")
	f(`{"isBase64Encoded":true,"body":"%%%"}`, "isn't base64")
	// No header is ever split.
	f(`{"headers":{"A":"x\r\nSet-Cookie: a=b"}}`, "control character")
	f(`{"headers":{"A":"x\u0000"}}`, "control character")
	f(`{"headers":{"A: b\r\nC":"x"}}`, "isn't a header name")
	f(`{"headers":{"":"x"}}`, "isn't a header name")
	f(`{"headers":{"Ä":"x"}}`, "isn't a header name")
	f(`{"multiValueHeaders":{"A":["ok","x\ny"]}}`, "control character")
	f(`{"multiValueHeaders":{"A":[`+strings.Repeat(`"x",`, 1000)+`"x"]}}`, "more than 1000")
	f(strings.Repeat(`[`, 100000), "not JSON")
}

// The published answer says each header twice, with one value.
func TestAnswerLikePublished(t *testing.T) {
	b := oracle(t, "aws-lambda-go/apigw-response.json")
	var to proxy.Response
	if err := ReadAnswer(b, &to); err != nil {
		t.Fatal(err)
	}
	var want struct {
		Headers map[string]string
		Body    string
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(to.Fields) != len(want.Headers) || string(to.Content) != want.Body || to.Status != 200 {
		t.Errorf("got %s", shown(&to))
	}
	for name, value := range want.Headers {
		if got := to.Fields.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

// plainAnswer is ReadAnswer for single headers as encoding/json would have it.
func plainAnswer(b []byte) (status int, headers map[string]string, body []byte, ok bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil || members == nil {
		return 0, nil, nil, false
	}
	status = 200
	for name, raw := range members {
		var err error
		switch name {
		case "statusCode":
			var n *int
			err = json.Unmarshal(bytes.Trim(raw, `"`), &n)
			if n != nil {
				status = *n
			}
		case "headers":
			var values map[string]any
			err = json.Unmarshal(raw, &values)
			headers = map[string]string{}
			for k, v := range values {
				switch v.(type) {
				case string, bool:
					headers[k] = strings.Trim(fmt.Sprint(v), " \t")
				default:
					return 0, nil, nil, false
				}
			}
		case "body":
			var s *string
			err = json.Unmarshal(raw, &s)
			if s != nil {
				body = []byte(*s)
			}
		case "multiValueHeaders", "isBase64Encoded":
		default:
			return 0, nil, nil, false
		}
		if err != nil {
			return 0, nil, nil, false
		}
	}
	if encoded := members["isBase64Encoded"]; string(encoded) == "true" {
		raw, err := base64.StdEncoding.DecodeString(string(body))
		if err != nil {
			return 0, nil, nil, false
		}
		body = raw
	}
	if status == 204 || status == 304 {
		body = nil
	}
	return status, headers, body, true
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{}`, `{"statusCode":"201","body":"a\ud834\udd1e\\\"","headers":{"A":"b\n","B":true}}`, `{"multiValueHeaders":{"a":["1"]},"headers":{"A":"2"}}`,
		`{"body":"aGk=","isBase64Encoded":true}`, `{"x":[{"y":"]}"}]}`, "{\"body\":\"\xff\"}", `{"headers":{"A":"\u0000"},"headers":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var to proxy.Response
		if err := ReadAnswer(b, &to); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v isn't ErrMalformed", err)
			}
			return
		}
		for _, field := range to.Fields {
			if !http1.ValidFieldName(field.Name) || !http1.ValidFieldValue(field.Value) {
				t.Fatalf("%q: field %q: %q", b, field.Name, field.Value)
			}
		}
		if to.Status < 200 || to.Status > 599 {
			t.Fatalf("%q: status %d", b, to.Status)
		}
		status, headers, body, ok := plainAnswer(b)
		if !ok || status != to.Status {
			t.Fatalf("%q: got %s; encoding/json has %d, %v, %q, %v", b, shown(&to), status, headers, body, ok)
		}
		// encoding/json has one U+FFFD for each bad byte, we have one for each run.
		if !bytes.ContainsRune(body, '\uFFFD') && !bytes.Equal(body, to.Content) {
			t.Fatalf("%q: got %q, want %q", b, to.Content, body)
		}
		if bytes.Contains(b, []byte("multiValueHeaders")) {
			return
		}
		for name, value := range headers {
			_, drop := reply(http1.KnownName(name))
			renamed, _ := reply(http1.KnownName(name))
			if drop || renamed != "" {
				continue
			}
			found := false
			for _, field := range to.Fields {
				found = found || field.Name == name && field.Value == value
			}
			if !found && !strings.Contains(value, "\uFFFD") {
				t.Fatalf("%q: no %q: %q in %s", b, name, value, shown(&to))
			}
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	document := []byte(`{"statusCode":200,"headers":{"Content-Type":"application/json","Cache-Control":"no-store"},"body":"` + strings.Repeat(`{\"a\":\"bcdefgh\"}`, 60) + `"}`)
	var to proxy.Response
	b.ReportAllocs()
	b.SetBytes(int64(len(document)))
	for b.Loop() {
		if err := ReadAnswer(document, &to); err != nil {
			b.Fatal(err)
		}
	}
}
