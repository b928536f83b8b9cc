package sigv4

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/postern-gateway/postern/proxy/http1"
)

// The signer says what AWS's own says, and what the verifier accepts.
func TestSign(t *testing.T) {
	const id, secret = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	f := func(token, function, query, content string, when time.Time) {
		t.Helper()
		path := "/2015-03-31/functions/" + Escape(function) + "/invocations"
		fields := http1.Fields{
			http1.NewField("Accept", "application/json"), http1.NewField("Content-Type", "application/json"),
			http1.NewField("X-Amz-Invocation-Type", "RequestResponse"), http1.NewField("X-Amz-Log-Type", " None  at all "),
			http1.NewField("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
		}
		target := path
		if query != "" {
			target += "?" + query
		}
		theirs, err := http.NewRequest("POST", "https://lambda.eu-west-1.amazonaws.com"+target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range fields {
			if isAmz(field.Name) || field.Name == "Content-Type" {
				theirs.Header.Add(field.Name, field.Value)
			}
		}
		sum := sha256.Sum256([]byte(content))
		credentials := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}
		if err := v4.NewSigner().SignHTTP(context.Background(), credentials, theirs, hex.EncodeToString(sum[:]), "lambda", "eu-west-1", when); err != nil {
			t.Fatal(err)
		}
		key := NewKey(secret, token, time.Time{})
		request := Request{Method: "POST", Path: path, Query: query, Host: "lambda.eu-west-1.amazonaws.com"}
		request.Fields = NewSigner(id, key, "eu-west-1", "lambda").Sign(fields, request, []byte(content), when)
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
			if got, want := request.Fields.Get(name), theirs.Header.Get(name); got != want {
				t.Errorf("%s %s: %s is\n%s, want\n%s", function, query, name, got, want)
			}
		}
		check, err := NewVerifier("eu-west-1", "lambda", false).Begin(request)
		if err != nil {
			t.Fatal(err)
		}
		defer check.End()
		if err := check.Admit(key, when); err != nil {
			t.Error(err)
		}
		if err := check.Verify(key, hex.EncodeToString(sum[:])); err != nil {
			t.Error(err)
		}
	}
	for _, token := range []string{"", "a/session+token=="} {
		f(token, "authorize", "", `{"type":"TOKEN"}`, signedAt)
		f(token, "authorize:$LATEST", "", "", signedAt.Add(24*time.Hour))
		f(token, "arn:aws:lambda:eu-west-1:123456789012:function:authorize:live", "", "{}", signedAt)
		f(token, "a%b", "Qualifier=a%20b&a=", "{}", signedAt)
	}
}

func BenchmarkSign(b *testing.B) {
	s := NewSigner("AKIDEXAMPLE", NewKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", time.Time{}), "eu-west-1", "lambda")
	fields := make(http1.Fields, 0, 8)
	fields = append(fields, http1.NewField("Content-Type", "application/json"), http1.NewField("X-Amz-Invocation-Type", "RequestResponse"))
	content := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		s.Sign(fields, Request{Method: "POST", Path: "/2015-03-31/functions/f/invocations", Host: "localhost"}, content, signedAt)
	}
}
