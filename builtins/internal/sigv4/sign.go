package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// Signer signs requests that the gateway sends, for one region and service. Safe for
// concurrent use.
type Signer struct {
	id, scope string // what follows the date in a credential
	key       *Key
	canonical *Verifier
}

// NewSigner returns a signer for the access key with that id.
func NewSigner(id string, key *Key, region, service string) *Signer {
	return &Signer{id: id, key: key, scope: "/" + region + "/" + service + "/" + terminator, canonical: NewVerifier(region, service, false)}
}

// Sign appends to fields, which are all that r is sent with, those that sign r and
// content at the time now. What is signed of the others is Content-Type and all that
// are called X-Amz-…. AWS: "Create a signed AWS API request". The path of r must be
// what Escape makes of it.
func (s *Signer) Sign(fields http1.Fields, r Request, content []byte, now time.Time) http1.Fields {
	fields = append(fields, http1.NewField("X-Amz-Date", iso(now)))
	if s.key.token != "" {
		fields = append(fields, http1.NewField("X-Amz-Security-Token", s.key.token))
	}
	r.Fields = fields
	names := []string{"host"}
	for i := range fields {
		name := strings.ToLower(fields[i].Name)
		if (isAmz(name) || name == "content-type") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	c, _ := s.canonical.checks.Get().(*Check)
	if c == nil {
		c = &Check{verifier: s.canonical}
	}
	defer c.End()
	c.request, c.signed, c.date, c.when = r, strings.Join(names, ";"), iso(now), now
	c.scope = c.date[:8] + s.scope
	sum := sha256.Sum256(content)
	signature := c.sign(s.key, hex.EncodeToString(sum[:]))
	return append(fields, http1.NewField("Authorization",
		algorithm+" Credential="+s.id+"/"+c.scope+", SignedHeaders="+c.signed+", Signature="+hex.EncodeToString(signature[:])))
}

// Escape returns a part of a path as all sign it alike: what isn't a letter, a digit,
// "-", ".", "_" or "~" is escaped.
func Escape(part string) string {
	var escaped []byte
	for i := range len(part) {
		escaped = uri.AppendEscaped(escaped, part[i])
	}
	return string(escaped)
}
