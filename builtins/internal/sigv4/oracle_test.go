package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// signedRequest is a request with who signed it, where and when.
type signedRequest struct {
	name            string
	request         Request
	content         string
	region, service string
	secret, token   string
	normalize       bool
	when            time.Time
	canonical       string // what the signer made of it; "" if nobody knows
}

// accepted runs a whole check of r's request at now.
func (r *signedRequest) accepted(now time.Time) error {
	c, err := NewVerifier(r.region, r.service, r.normalize).Begin(r.request)
	if err != nil {
		return err
	}
	defer c.End()
	if c.KeyID != "AKIDEXAMPLE" {
		return &Error{Reason: UnknownToken}
	}
	key := NewKey(r.secret, r.token, time.Time{})
	if err := c.Admit(key, now); err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(r.content))
	payload := hex.EncodeToString(hash[:])
	if c.Payload != "" && c.Payload != payload {
		return mismatch("")
	}
	return c.Verify(key, payload)
}

// oracleCases reads the requests that AWS's own signer signed.
func oracleCases(t testing.TB) []signedRequest {
	dir := "../../../../shared/oracles/sigv4"
	folders, err := filepath.Glob(dir + "/*/context.json")
	if err != nil || len(folders) == 0 {
		t.Skip("the oracle isn't there: " + dir)
	}
	var all []signedRequest
	for _, file := range folders {
		folder := filepath.Dir(file)
		read := func(name string) string {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		var context struct {
			Credentials struct {
				Secret string `json:"secret_access_key"`
				Token  string
			}
			Normalize       bool
			Region, Service string
			Timestamp       time.Time
		}
		if err := json.Unmarshal([]byte(read("context.json")), &context); err != nil {
			t.Fatal(err)
		}
		r := signedRequest{
			name: filepath.Base(folder), region: context.Region, service: context.Service, normalize: context.Normalize,
			secret: context.Credentials.Secret, token: context.Credentials.Token, when: context.Timestamp,
			canonical: read("header-canonical-request.txt"),
		}
		r.request, r.content = parseRequest(read("header-signed-request.txt"))
		all = append(all, r)
	}
	return all
}

// parseRequest reads a request as the oracle writes it: it isn't valid HTTP, with
// spaces and other characters in the target, and fields that go on over lines.
func parseRequest(text string) (Request, string) {
	head, content, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	target = target[:strings.LastIndex(target, " ")]
	r := Request{Method: method}
	r.Path, r.Query, _ = strings.Cut(target, "?")
	for _, line := range lines[1:] {
		if line == "" {
			continue
		}
		if line[0] == ' ' {
			last := &r.Fields[len(r.Fields)-1]
			*last = http1.NewField(last.Name, last.Value+" "+strings.TrimSpace(line))
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		r.Fields.Add(name, strings.Trim(value, " "))
	}
	r.Host = r.Fields.Get("Host")
	return r, content
}

func TestOracle(t *testing.T) {
	cases := oracleCases(t)
	if len(cases) < 38 {
		t.Errorf("%d cases, want 38 or more", len(cases))
	}
	for _, r := range cases {
		c, err := NewVerifier(r.region, r.service, r.normalize).Begin(r.request)
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
			continue
		}
		hash := sha256.Sum256([]byte(r.content))
		got := string(c.appendCanonical(nil, hex.EncodeToString(hash[:])))
		c.End()
		if got != r.canonical {
			t.Errorf("%s: canonical request\n%s\nwant\n%s", r.name, got, r.canonical)
		}
		if err := r.accepted(r.when); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		for _, off := range []time.Duration{-skew - time.Second, skew + time.Second, 24 * time.Hour, -24 * time.Hour, 365 * 24 * time.Hour} {
			var e *Error
			if err := r.accepted(r.when.Add(off)); !errors.As(err, &e) || e.Reason != Mismatch {
				t.Errorf("%s, %v off: %v", r.name, off, err)
			}
		}
		for _, off := range []time.Duration{-skew, skew} {
			if err := r.accepted(r.when.Add(off)); err != nil {
				t.Errorf("%s, %v off: %v", r.name, off, err)
			}
		}
	}
}
