package sigv4

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/postern-gateway/postern/proxy/http1"
)

// sdkRequest has r signed by AWS's own signer for Go, and returns it as it would go
// out.
func sdkRequest(t testing.TB, r *http.Request, content string, when time.Time, presigned time.Duration, token string) signedRequest {
	t.Helper()
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: token}
	sum := sha256.Sum256([]byte(content))
	hash := hex.EncodeToString(sum[:])
	signer := v4.NewSigner()
	signed := signedRequest{
		region: "eu-west-1", service: "execute-api", secret: credentials.SecretAccessKey, token: token,
		when: when, content: content,
	}
	target := r.URL
	fields := r.Header
	if presigned > 0 {
		query := r.URL.Query()
		query.Set("X-Amz-Expires", fmt.Sprint(int(presigned/time.Second)))
		r.URL.RawQuery = query.Encode()
		text, header, err := signer.PresignHTTP(context.Background(), credentials, r, hash, "execute-api", "eu-west-1", when)
		if err != nil {
			t.Fatal(err)
		}
		if target, err = url.Parse(text); err != nil {
			t.Fatal(err)
		}
		fields = header // the others moved to the query
	} else if err := signer.SignHTTP(context.Background(), credentials, r, hash, "execute-api", "eu-west-1", when); err != nil {
		t.Fatal(err)
	}
	signed.request = Request{Method: r.Method, Path: target.EscapedPath(), Query: target.RawQuery, Host: r.Host}
	if r.ContentLength > 0 {
		fields.Set("Content-Length", fmt.Sprint(r.ContentLength))
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range fields[name] {
			signed.request.Fields = append(signed.request.Fields, http1.NewField(name, value))
		}
	}
	return signed
}

var signedAt = time.Date(2026, 7, 1, 23, 58, 0, 0, time.UTC)

// sdkTargets are targets that signers have disagreed about.
func sdkTargets() []string {
	return []string{
		"/", "/prod/pets", "/prod/pets/", "/prod//pets", "/prod/a%20b", "/prod/a+b", "/prod/%E2%82%AC", "/prod/a%2Fb", "/prod/~-._",
		"/prod/@connections/L0SM9cOFvHcCIhw%3D", "/prod/a:b;c,d(e)'f'!$&*",
		"/p?a=1", "/p?b=2&a=1&a=0", "/p?a", "/p?a=", "/p?=x", "/p?a=b%20c", "/p?a=b+c", "/p?a=b%2Bc", "/p?%E2%82%AC=%C3%A9",
		"/p?a-b=1&a=2", "/p?A=1&a=2", "/p?a=%2F&a=%2f", "/p?x=%3B&y=%26&z=%3D",
	}
}

func TestSDK(t *testing.T) {
	for _, target := range sdkTargets() {
		for _, method := range []string{"GET", "POST"} {
			for _, presigned := range []time.Duration{0, time.Second, 7 * 24 * time.Hour} {
				for _, token := range []string{"", "a/session+token=="} {
					content := ""
					if method == "POST" {
						content = `{"name":"Ünï"}`
					}
					r, err := http.NewRequestWithContext(t.Context(), method, "https://pets.example.com:8443"+target, strings.NewReader(content))
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Content-Type", "application/json")
					r.Header.Add("X-Amz-Meta", " a   b ")
					r.Header.Add("X-Amz-Meta", "c")
					signed := sdkRequest(t, r, content, signedAt, presigned, token)
					if err := signed.accepted(signedAt); err != nil {
						t.Errorf("%s %s, presigned for %v, token %q: %v\n%+v", method, target, presigned, token, err, signed.request)
					}
				}
			}
		}
	}
}

// A presigned request counts for as long as it says, and no longer.
func TestPresignedExpires(t *testing.T) {
	r, _ := http.NewRequest("GET", "https://pets.example.com/p?a=1", nil)
	signed := sdkRequest(t, r, "", signedAt, time.Hour, "")
	f := func(now time.Time, want bool) {
		t.Helper()
		if err := signed.accepted(now); (err == nil) != want {
			t.Errorf("at %v: %v", now.Sub(signedAt), err)
		}
	}
	f(signedAt, true)
	f(signedAt.Add(time.Hour), true)
	f(signedAt.Add(time.Hour+time.Second), false)
	f(signedAt.Add(-skew), true)
	f(signedAt.Add(-skew-time.Second), false)
	for _, seconds := range []string{"0", "-1", "+5", "604801", "1e3", "", "18446744073709551616", "5 ", "3600&X-Amz-Expires=3600"} {
		changed := signed
		changed.request.Query = strings.Replace(signed.request.Query, "X-Amz-Expires=3600", "X-Amz-Expires="+seconds, 1)
		if err := changed.accepted(signedAt); err == nil {
			t.Errorf("%q seconds are accepted", seconds)
		}
	}
}

// No change to a signed request goes unnoticed: each of many, at random places of
// everything that counts.
func TestMutations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []signedRequest
	for _, target := range sdkTargets() {
		for _, presigned := range []time.Duration{0, time.Hour} {
			r, _ := http.NewRequest("POST", "https://pets.example.com"+target, strings.NewReader("content"))
			r.Header.Set("X-Amz-Meta", "a b")
			all = append(all, sdkRequest(t, r, "content", signedAt, presigned, ""))
		}
	}
	tried := 0
	for _, signed := range all {
		for range 40 {
			changed, what := mutated(signed, random)
			if what == "" {
				continue
			}
			tried++
			if err := changed.accepted(signedAt); err == nil {
				t.Errorf("%s is accepted:\n%+v\nof\n%+v", what, changed.request, signed.request)
			}
		}
	}
	for _, signed := range oracleCases(t) {
		for range 40 {
			changed, what := mutated(signed, random)
			if what == "" {
				continue
			}
			tried++
			if err := changed.accepted(signed.when); err == nil {
				t.Errorf("%s: %s is accepted:\n%+v\nof\n%+v", signed.name, what, changed.request, signed.request)
			}
		}
	}
	if t.Logf("%d mutations", tried); tried < 200 {
		t.Error("too few")
	}
}

// mutated returns r with one change that makes it mean something else, and which; ""
// when the change that was chosen changes nothing.
func mutated(r signedRequest, random *rand.Rand) (signedRequest, string) {
	r.request.Fields = slices.Clone(r.request.Fields)
	swap := func(s string) string { // another letter or digit in place of one
		var at []int
		for i := range len(s) {
			if c := s[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				at = append(at, i)
			}
		}
		if len(at) == 0 {
			return s + "x"
		}
		i := at[random.IntN(len(at))]
		c := byte('0' + random.IntN(10))
		if c == s[i] {
			c = 'z'
		}
		return s[:i] + string(c) + s[i+1:]
	}
	field := &r.request.Fields[random.IntN(len(r.request.Fields))]
	switch random.IntN(14) {
	case 0:
		r.request.Method += "X"
		return r, "the method"
	case 1:
		if strings.Contains(r.request.Path, "..") {
			return r, "" // that part of it counts for nothing
		}
		r.request.Path = swap(r.request.Path)
		return r, "the path"
	case 2:
		r.request.Path += "/x"
		return r, "a longer path"
	case 3:
		r.request.Query += "&x=1"
		return r, "another parameter"
	case 4:
		if r.request.Query == "" {
			return r, ""
		}
		r.request.Query = swap(r.request.Query)
		return r, "the query"
	case 5:
		r.request.Host = swap(r.request.Host)
		return r, "the host"
	case 6:
		r.request.Host += ":444"
		return r, "a port"
	case 7:
		if field.Name == "X-Amz-Security-Token" && r.name == "post-sts-header-after" {
			return r, ""
		}
		if strings.EqualFold(field.Name, "host") || strings.EqualFold(field.Name, "content-length") && !strings.Contains(r.canonical, "content-length") {
			return r, ""
		}
		name := field.Name
		if !strings.Contains(strings.ToLower(r.request.Query+r.request.Fields.Get("Authorization")), strings.ToLower(name)) && name != "Authorization" {
			return r, "" // it isn't signed
		}
		*field = http1.NewField(name, swap(field.Value))
		return r, "field " + name
	case 8:
		r.request.Fields.Add("X-Amz-Other", "1")
		return r, "a further field"
	case 9:
		name := field.Name
		if strings.EqualFold(name, "host") || !strings.Contains(strings.ToLower(r.request.Query+r.request.Fields.Get("Authorization")), strings.ToLower(name)) {
			return r, ""
		}
		*field = http1.NewField("Zzz", "1")
		return r, "no field " + name
	case 10:
		r.content += "x"
		return r, "the content"
	case 11:
		r.secret += "x"
		return r, "the secret"
	case 12:
		r.region = swap(r.region)
		return r, "the region"
	}
	r.token += "x"
	return r, "the token"
}
