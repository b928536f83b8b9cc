package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// vanilla is a signed request of a usual size.
func vanilla(t testing.TB) signedRequest {
	r, err := http.NewRequest("POST", "https://pets.example.com/prod/pets/1?kind=dog&age=3", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "*/*")
	return sdkRequest(t, r, "", signedAt, 0, "")
}

// What a request says of its signature must be readable in one way only.
func TestRefused(t *testing.T) {
	f := func(what string, want Reason, change func(r *signedRequest)) {
		t.Helper()
		r := vanilla(t)
		r.request.Fields = slices.Clone(r.request.Fields)
		change(&r)
		var e *Error
		if err := r.accepted(signedAt); !errors.As(err, &e) || e.Reason != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	authorization := func(change func(s string) string) func(r *signedRequest) {
		return func(r *signedRequest) {
			r.request.Fields.Set("Authorization", change(r.request.Fields.Get("Authorization")))
		}
	}
	replace := func(old, by string) func(r *signedRequest) {
		return authorization(func(s string) string { return strings.Replace(s, old, by, 1) })
	}
	f("no signature", Missing, func(r *signedRequest) { r.request.Fields.Del("Authorization") })
	f("an empty one", Missing, func(r *signedRequest) { r.request.Fields.Set("Authorization", "") })
	f("two", Incomplete, func(r *signedRequest) { r.request.Fields.Add("Authorization", r.request.Fields.Get("Authorization")) })
	f("one more in the query", Incomplete, func(r *signedRequest) { r.request.Query += "&X-Amz-Signature=00" })
	f("the algorithm in the query", Incomplete, func(r *signedRequest) { r.request.Query += "&%58-Amz-Algorithm=x" })
	f("another scheme", Incomplete, replace("AWS4-HMAC-SHA256", "Bearer"))
	f("another algorithm", Incomplete, replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"))
	f("in lower case", Incomplete, replace("AWS4-HMAC-SHA256", "aws4-hmac-sha256"))
	f("a part twice", Incomplete, authorization(func(s string) string { return s + s[strings.Index(s, ","):] }))
	f("a further part", Incomplete, authorization(func(s string) string { return s + ", X=1" }))
	f("a part missing", Incomplete, authorization(func(s string) string { return s[:strings.LastIndex(s, ",")] }))
	f("a part empty", Incomplete, replace("SignedHeaders=", "SignedHeaders=,SignedHeaders="))
	f("a short scope", Incomplete, replace("/aws4_request", ""))
	f("a long scope", Incomplete, replace("/aws4_request", "/aws4_request/x"))
	f("no key", Incomplete, replace("Credential=AKIDEXAMPLE", "Credential="))
	f("another terminator", Mismatch, replace("aws4_request", "aws5_request"))
	f("another day", Mismatch, replace("/20260701/", "/20260630/"))
	f("host not signed", Mismatch, replace("host;", ""))
	f("names out of order", Mismatch, replace("content-type;host", "host;content-type"))
	f("a name twice", Mismatch, replace("host;", "host;host;"))
	f("a name in upper case", Mismatch, replace("host;", "Host;"))
	f("a name empty", Mismatch, replace("host;", "host;;"))
	f("a signature in upper case", Mismatch, authorization(func(s string) string {
		i := strings.LastIndex(s, "=")
		return s[:i] + strings.ToUpper(s[i:])
	}))
	f("a longer signature", Mismatch, authorization(func(s string) string { return s + "0" }))
	f("a shorter signature", Mismatch, authorization(func(s string) string { return s[:len(s)-1] }))
	f("no date", Incomplete, func(r *signedRequest) { r.request.Fields.Del("X-Amz-Date") })
	f("two dates", Mismatch, func(r *signedRequest) { r.request.Fields.Add("x-amz-date", r.request.Fields.Get("X-Amz-Date")) })
	for _, date := range []string{"20260701T235800", "2026-07-01T23:58:00Z", "20260732T235800Z", "20261301T235800Z", "20260701T245800Z", "20260701t235800z", "-0260701T235800Z", "x", "20260701T235860Z"} {
		f("date "+date, Incomplete, func(r *signedRequest) { r.request.Fields.Set("X-Amz-Date", date) })
	}
	f("a semicolon in the query", Mismatch, func(r *signedRequest) { r.request.Query = strings.Replace(r.request.Query, "&", ";", 1) })
	f("half an escape in the query", Mismatch, func(r *signedRequest) { r.request.Query += "%2" })
	f("a token that nobody asked for", Mismatch+0, func(r *signedRequest) {
		r.request.Fields.Add("X-Amz-Security-Token", "x")
		r.request.Fields.Add("X-Amz-Security-Token", "x")
	})
	f("a token", UnknownToken, func(r *signedRequest) { r.request.Fields.Add("X-Amz-Security-Token", "x") })
	f("no token", UnknownToken, func(r *signedRequest) { r.token = "x" })
}

// Old signers have the date in Date, which is signed then.
func TestDateField(t *testing.T) {
	sign := func(date, signed string) error {
		key := NewKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", time.Time{})
		r := Request{Method: "GET", Path: "/", Host: "h", Fields: http1.Fields{http1.NewField("Date", date)}}
		scope := "20260701/eu-west-1/execute-api/aws4_request"
		c := &Check{verifier: NewVerifier("eu-west-1", "execute-api", false), request: r, signed: signed, scope: scope, date: "20260701T235800Z", when: signedAt}
		hash := sha256.Sum256(c.appendCanonical(nil, EmptyHash))
		signing := key.signing(signedAt, scope)
		sum := mac(&signing, fmt.Appendf(nil, "AWS4-HMAC-SHA256\n20260701T235800Z\n%s\n%x", scope, hash))
		r.Fields.Add("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s,SignedHeaders=%s,Signature=%x", scope, signed, sum))
		all := signedRequest{request: r, region: "eu-west-1", service: "execute-api", secret: key.secret}
		return all.accepted(signedAt)
	}
	for _, date := range []string{"Wed, 01 Jul 2026 23:58:00 GMT", "20260701T235800Z"} {
		if err := sign(date, "date;host"); err != nil {
			t.Errorf("%s: %v", date, err)
		}
		if err := sign(date, "host"); err == nil {
			t.Errorf("%s: accepted though it isn't signed", date)
		}
	}
}

func TestExpiredKey(t *testing.T) {
	r := vanilla(t)
	c, err := NewVerifier(r.region, r.service, false).Begin(r.request)
	if err != nil {
		t.Fatal(err)
	}
	defer c.End()
	key := NewKey(r.secret, "", signedAt)
	var e *Error
	if err := c.Admit(key, signedAt); !errors.As(err, &e) || e.Reason != ExpiredToken {
		t.Errorf("at its end: %v", err)
	}
	if err := c.Admit(key, signedAt.Add(-time.Second)); err != nil {
		t.Errorf("before its end: %v", err)
	}
}

func TestUnsigned(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		if got := string(Unsigned(nil, query)); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	f("X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Date=c&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Security-Token=t", "")
	f("a=1&X-Amz-Signature=0&b&&c=", "a=1&b&&c=")
	f("%58-Amz-Signature=0&X-Amz-Other=1&x-amz-signature=2", "X-Amz-Other=1&x-amz-signature=2")
	f("", "")
}

// The plain form of mac is crypto/hmac.
func FuzzMAC(f *testing.F) {
	f.Add([]byte("key"), []byte("text"))
	f.Add([]byte(strings.Repeat("k", 65)), []byte(""))
	f.Fuzz(func(t *testing.T, key, text []byte) {
		h := hmac.New(sha256.New, key)
		h.Write(text)
		if got := macOf(key, text); string(got[:]) != string(h.Sum(nil)) {
			t.Errorf("macOf(%q, %q) = %x", key, text, got)
		}
	})
}

// Many requests of many days and verifiers share a key.
func TestKeyHammer(t *testing.T) {
	key := NewKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", time.Time{})
	type scoped struct {
		when  time.Time
		scope string
		want  [sha256.Size]byte
	}
	var all []scoped
	for day := range 20 {
		for _, service := range []string{"execute-api", "s3"} {
			when := signedAt.Add(time.Duration(day-10) * 24 * time.Hour)
			scope := when.Format("20060102") + "/eu-west-1/" + service + "/aws4_request"
			all = append(all, scoped{when, scope, NewKey(key.secret, "", time.Time{}).signing(when, scope)})
		}
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 2000 {
				s := all[(i*7+worker*3)%len(all)]
				if key.signing(s.when, s.scope) != s.want {
					t.Errorf("another key for %s", s.scope)
					return
				}
			}
		})
	}
	group.Wait()
}

// FuzzVerify changes a signed request anyhow. What is accepted then has to mean the
// same as what was signed.
func FuzzVerify(f *testing.F) {
	for _, presigned := range []time.Duration{0, time.Hour} {
		r, _ := http.NewRequest("POST", "https://pets.example.com/prod/a%20b?k=v&k=u%2B", strings.NewReader("content"))
		r.Header.Set("X-Amz-Meta", "a b")
		signed := sdkRequest(f, r, "content", signedAt, presigned, "")
		head := signed.request.Method + "\n" + signed.request.Path + "\n" + signed.request.Query + "\n" + signed.request.Host
		for _, field := range signed.request.Fields {
			head += "\n" + field.Name + ":" + field.Value
		}
		f.Add(head, signed.content)
	}
	f.Fuzz(func(t *testing.T, head, content string) {
		lines := strings.Split(head, "\n")
		if len(lines) < 4 {
			return
		}
		r := signedRequest{region: "eu-west-1", service: "execute-api", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", content: content}
		r.request = Request{Method: lines[0], Path: lines[1], Query: lines[2], Host: lines[3]}
		meta := ""
		for _, line := range lines[4:] {
			name, value, found := strings.Cut(line, ":")
			if !found || !http1.ValidFieldName(name) {
				return
			}
			r.request.Fields.Add(name, strings.Trim(value, " \t"))
			if isAmz(name) && !strings.EqualFold(name, "x-amz-date") && !strings.EqualFold(name, "x-amz-security-token") {
				meta += strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == ' ' }), " ")
			}
		}
		if err := r.accepted(signedAt); err != nil {
			return
		}
		query, moved, bad := parseQuery(r.request.Query)
		if r.request.Method != "POST" || r.request.Path != "/prod/a%20b" || r.request.Host != "pets.example.com" || content != "content" ||
			bad || query != "k=u+,k=v" || meta+moved != "a b" {
			t.Errorf("accepted: %q, content %q", head, content)
		}
	})
}

// parseQuery returns the parameters but the signature's, sorted, the one that signers
// make of a field, and whether others could read them in another way.
func parseQuery(query string) (params, meta string, bad bool) {
	var all []string
	for one := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(one, "=")
		name, value = decoded(name), decoded(value)
		switch {
		case name == "X-Amz-Meta":
			meta += value
		case one != "" && !strings.HasPrefix(name, "X-Amz-"):
			all = append(all, name+"="+value)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ","), meta, strings.Contains(query, ";")
}

func BenchmarkVerify(b *testing.B) {
	for name, presigned := range map[string]time.Duration{"header": 0, "presigned": time.Hour} {
		b.Run(name, func(b *testing.B) {
			r, _ := http.NewRequest("POST", "https://pets.example.com/prod/pets/1?kind=dog&age=3", strings.NewReader(""))
			r.Header.Set("Content-Type", "application/json")
			signed := sdkRequest(b, r, "", signedAt, presigned, "")
			v := NewVerifier(signed.region, signed.service, false)
			key := NewKey(signed.secret, "", time.Time{})
			b.ReportAllocs()
			for b.Loop() {
				c, err := v.Begin(signed.request)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Admit(key, signedAt); err != nil {
					b.Fatal(err)
				}
				if err := c.Verify(key, EmptyHash); err != nil {
					b.Fatal(err)
				}
				c.End()
			}
		})
	}
}

// What no verifier can do without: the hash of a canonical request of this size and
// one HMAC.
func BenchmarkHMAC(b *testing.B) {
	canonical := []byte(strings.Repeat("c", 350))
	text := []byte(strings.Repeat("t", 140))
	var key [sha256.Size]byte
	b.ReportAllocs()
	for b.Loop() {
		sum := sha256.Sum256(canonical)
		text[0] = sum[0]
		key = mac(&key, text)
	}
}

func BenchmarkStream(b *testing.B) {
	r, signatures := awsExample(false)
	text := chunked(signatures)
	b.ReportAllocs()
	b.SetBytes(66560)
	for b.Loop() {
		if _, err := streamed(r, exampleKey(), "s3", strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
