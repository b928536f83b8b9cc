package authorizer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

var signedAt = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// iamStep returns the step of a route for callers who sign.
func iamStep(t testing.TB, a config.Authorizer) *iam {
	t.Helper()
	cfg := &config.Config{
		Gateway: config.Gateway{Region: "eu-west-1", AccountID: "111122223333"},
		Principal: map[string]config.Principal{"alice": {
			AccessKeys: []config.AccessKey{{ID: "AKIDALICE", Secret: "alice-secret-0123456789"}},
			Tags:       map[string]string{"team": "blue", "age": "7"},
			Policies:   []config.Policy{{Text: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}},
		}},
	}
	steps, err := newIAM(proxy.Build{
		Route:  &proxy.Route{Stage: &proxy.Stage{Name: "prod", API: &proxy.API{ID: "pets", Region: "eu-west-1", AccountID: "111122223333"}}},
		Shared: func(_ any, build func() any) any { return build() },
	}, proxy.Options{Config: cfg, Authorizer: &a})
	if err != nil {
		t.Fatal(err)
	}
	return steps[proxy.MethodRequest].(*iam)
}

// signedExchange returns an exchange whose request AWS's signer signed at signedAt,
// as it came at now.
func signedExchange(t testing.TB, now time.Time, method, target, content string) *proxy.Exchange {
	t.Helper()
	r, err := http.NewRequest(method, "http://pets.localhost"+target, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "AKIDALICE", SecretAccessKey: "alice-secret-0123456789"},
		r, hex.EncodeToString(sum[:]), "execute-api", "eu-west-1", signedAt)
	if err != nil {
		t.Fatal(err)
	}
	ex := &proxy.Exchange{}
	ex.Begin(now, nil)
	ex.Method = method
	ex.In.Method, ex.In.Path, ex.In.RawQuery, ex.In.Host = method, r.URL.EscapedPath(), r.URL.RawQuery, "pets.localhost"
	ex.In.Fields.Add("Host", "pets.localhost")
	for _, name := range []string{"X-Amz-Date", "Authorization"} {
		ex.In.Fields.Add(name, r.Header.Get(name))
	}
	ex.In.Content, ex.In.Whole = []byte(content), true
	if content != "" {
		ex.In.Fields.Add("Content-Length", strconv.Itoa(len(content)))
	}
	return ex
}

func kindOf(err error) proxy.FaultKind {
	var f proxy.Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return proxy.NoFault
}

func TestIAMFillsCaller(t *testing.T) {
	ex := signedExchange(t, signedAt, "GET", "/prod/pets?b=1&a=2", "")
	if _, err := iamStep(t, config.Authorizer{}).Run(t.Context(), ex); err != nil {
		t.Fatal(err)
	}
	id := ex.Caller.Identity
	if id.AccountID != "111122223333" || id.User != "alice" || id.Caller != "alice" || id.AccessKey != "AKIDALICE" ||
		id.UserARN != "arn:aws:iam::111122223333:user/alice" || ex.Caller.Principal != "alice" {
		t.Errorf("%+v", ex.Caller)
	}
	if len(id.Tags) != 2 || id.Tags[1] != (proxy.Param{Name: "team", Value: "blue"}) {
		t.Errorf("tags %v", id.Tags)
	}
}

// A request counts for five minutes around its date, by the clock of the gateway:
// sent again later it is refused, wherever that clock jumped meanwhile.
func TestIAMReplay(t *testing.T) {
	step := iamStep(t, config.Authorizer{})
	for _, jump := range []time.Duration{
		0, time.Minute, 6 * time.Minute, -4 * time.Minute, -6 * time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour, 8 * 24 * time.Hour,
		-24 * time.Hour, 0, 365 * 24 * time.Hour, -50 * 365 * 24 * time.Hour, 0,
	} {
		_, err := step.Run(t.Context(), signedExchange(t, signedAt.Add(jump), "GET", "/prod/pets", ""))
		if got, want := kindOf(err) == proxy.NoFault, jump.Abs() <= 5*time.Minute; got != want {
			t.Errorf("%v off: %v", jump, err)
		}
	}
}

// Content that nobody has read yet isn't read for callers that are refused anyway.
func TestIAMReadsLate(t *testing.T) {
	step := iamStep(t, config.Authorizer{})
	f := func(want proxy.FaultKind, reads bool, change func(ex *proxy.Exchange)) {
		t.Helper()
		ex := signedExchange(t, signedAt, "POST", "/prod/pets", "hello")
		body := &text{Reader: strings.NewReader("hello")}
		ex.In.Content, ex.In.Whole, ex.In.Body, ex.In.Length = nil, false, body, 5
		change(ex)
		parts := proxy.Steps{proxy.MethodRequest: step}
		proxy.NewPipeline(parts).Run(t.Context(), ex, 1000)
		got := proxy.NoFault
		if ex.Fault != nil {
			got = ex.Fault.Kind
		}
		if got != want || (body.Len() < 5) != reads {
			t.Errorf("%v, %d bytes left unread: want %v", got, body.Len(), want)
		}
	}
	f(proxy.NoFault, true, func(*proxy.Exchange) {})
	f(proxy.InvalidSignature, false, func(ex *proxy.Exchange) { ex.Start = ex.Start.Add(time.Hour) })
	f(proxy.MissingAuthenticationToken, false, func(ex *proxy.Exchange) { ex.In.Fields.Del("Authorization") })
	f(proxy.InvalidSignature, true, func(ex *proxy.Exchange) { ex.In.Path += "x" })
}

// text is a body.
type text struct{ *strings.Reader }

// Trailers returns none.
func (*text) Trailers() http1.Fields { return nil }

// The memory of checks is used again, by many at once.
func TestIAMHammer(t *testing.T) {
	step := iamStep(t, config.Authorizer{})
	targets := []string{"/prod/pets", "/prod/pets?a=1&b=2&c=3", "/prod/" + strings.Repeat("long/", 100), "/prod/x?" + strings.Repeat("k=v&", 50)}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 300 {
				ex := signedExchange(t, signedAt, "GET", targets[(i+worker)%len(targets)], "")
				bad := i%3 == 0
				if bad {
					ex.In.Path += "x"
				}
				if _, err := step.Run(context.Background(), ex); (kindOf(err) == proxy.InvalidSignature) != bad {
					t.Errorf("%s: %v", ex.In.Path, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkIAM(b *testing.B) {
	step := iamStep(b, config.Authorizer{})
	ex := signedExchange(b, signedAt, "GET", "/prod/pets/1?kind=dog&age=3", "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := step.Run(context.Background(), ex); err != nil {
			b.Fatal(err)
		}
	}
}
