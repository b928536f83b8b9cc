// Package sigv4 verifies AWS Signature Version 4: in a header, in a query string
// (presigned), and in content that is sent as signed chunks; and it signs, in a header.
// It is pure: no sockets, no clock, and it knows no Exchange.
//
// AWS: "Create a signed AWS API request", "Signature Calculations for the
// Authorization Header: Transferring Payload in Multiple Chunks".
package sigv4

import (
	"strings"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// What X-Amz-Content-Sha256 may say besides the content's hash.
const (
	UnsignedPayload       = "UNSIGNED-PAYLOAD"                           // the content isn't signed
	SignedChunks          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"         // each chunk is
	SignedChunksTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" // and so are trailer fields
	UnsignedChunksTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"         // nothing is but the head
)

// EmptyHash is the SHA-256 of no content, in hexadecimal.
const EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const (
	algorithm     = "AWS4-HMAC-SHA256"
	terminator    = "aws4_request"
	skew          = 5 * time.Minute    // AWS: how far clocks may be apart
	longestExpiry = 7 * 24 * time.Hour // AWS: of a presigned request
	digestDigits  = 64                 // of a signature, or another SHA-256
	isoFormat     = "20060102T150405Z"
	httpFormat    = "Mon, 02 Jan 2006 15:04:05 GMT"
)

// Request is what a signature covers of a request, as it was sent.
type Request struct {
	Method string
	Path   string // raw
	Query  string // raw, without "?"
	Host   string // value of Host, or of :authority
	Fields http1.Fields
}

// Verifier checks signatures for one region and service. Safe for concurrent use.
type Verifier struct {
	region, service string
	normalize       bool
	checks          sync.Pool // of *Check
}

// NewVerifier returns a verifier of signatures for region and service.
//
// normalize has signatures cover the path without dot segments and with doubled
// slashes merged, as AWS documents it; else they cover the path as it was sent, as
// for S3, and no other path has the same signature.
func NewVerifier(region, service string, normalize bool) *Verifier {
	return &Verifier{region: region, service: service, normalize: normalize}
}

// Check is one request on its way through a verifier: Begin, Admit, Verify, End.
type Check struct {
	// KeyID is the access key that the request names.
	KeyID string
	// Payload is the value of X-Amz-Content-Sha256, "" if there is none.
	Payload string
	// Presigned says that the signature stands in the query string.
	Presigned bool

	verifier  *Verifier
	request   Request
	scope     string // DATE/REGION/SERVICE/aws4_request
	signed    string // names of the signed fields, separated by ";"
	signature string
	token     string
	date      string // of the signature, as isoFormat
	when      time.Time
	expires   time.Duration // of a presigned request

	// Memory that the next check uses again.
	text   []byte
	param  []byte
	params []param
}

// param is one parameter of a query string, encoded: its name and value are
// memory[start:equals] and memory[equals:end].
type param struct{ start, equals, end int }

// Begin reads what r says of its signature. The strings of a Check are views of r.
// The error is an *Error; without one, End gives the Check back.
func (v *Verifier) Begin(r Request) (*Check, error) {
	c, _ := v.checks.Get().(*Check)
	if c == nil {
		c = &Check{verifier: v}
	}
	c.request = r
	if err := c.read(); err != nil {
		c.End()
		return nil, err
	}
	return c, nil
}

// End gives c up.
func (c *Check) End() {
	const keep = 64 << 10
	text, encoded, params := c.text, c.param, c.params
	if cap(text)+cap(encoded) > keep {
		text, encoded, params = nil, nil, nil
	}
	*c = Check{verifier: c.verifier, text: text, param: encoded, params: params}
	c.verifier.checks.Put(c)
}

// Admit judges all that needs no hash: that the token is key's, that the signature
// is for this region and service, and that now is a time for it. The error is an
// *Error.
func (c *Check) Admit(key *Key, now time.Time) error {
	if !same(c.token, key.token) {
		return &Error{Reason: UnknownToken}
	}
	if !key.expires.IsZero() && !now.Before(key.expires) {
		return &Error{Reason: ExpiredToken}
	}
	date, rest, _ := strings.Cut(c.scope, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, end, _ := strings.Cut(rest, "/")
	v := c.verifier
	switch {
	case end != terminator:
		return mismatch("Credential should be scoped with a valid terminator: '" + terminator + "'.")
	case date != c.date[:8]:
		return mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	case region != v.region:
		return mismatch("Credential should be scoped to a valid region.")
	case service != v.service:
		return mismatch("Credential should be scoped to correct service: '" + v.service + "'.")
	}
	return c.inTime(now)
}

// inTime judges the time of the signature.
func (c *Check) inTime(now time.Time) error {
	late, allowed := c.when.Add(skew), "5 min."
	if c.Presigned {
		late, allowed = c.when.Add(c.expires), c.expires.String()
	}
	switch {
	case now.Add(skew).Before(c.when):
		return mismatch("Signature not yet current: " + c.date + " is still later than " + iso(now.Add(skew)) + " (" + iso(now) + " + 5 min.)")
	case now.After(late):
		oldest := now.Add(c.when.Sub(late))
		return mismatch("Signature expired: " + c.date + " is now earlier than " + iso(oldest) + " (" + iso(now) + " - " + allowed + ")")
	}
	return nil
}

func iso(t time.Time) string { return t.UTC().Format(isoFormat) }

// read fills c from its request.
func (c *Check) read() error {
	header, headers := single(c.request.Fields, "Authorization")
	inQuery := c.queried()
	switch {
	case inQuery && headers > 0, headers > 1:
		return incomplete("Only one auth mechanism allowed.")
	case inQuery:
		c.Presigned = true
		if err := c.readQuery(); err != nil {
			return err
		}
	case header == "":
		return &Error{Reason: Missing}
	default:
		if err := c.readHeader(header); err != nil {
			return err
		}
	}
	if !plain(c.request.Query) || !validNames(c.signed) || !c.Signs("host") || len(c.signature) != digestDigits {
		return mismatch("")
	}
	if err := c.readAmz(); err != nil {
		return err
	}
	var ok bool
	if c.when, ok = parseISO(c.date); !ok {
		return incomplete("Date must be in ISO-8601 'basic format'.")
	}
	return nil
}

// plain reports whether all who read query read the same in it. ";" separates
// parameters for some readers, and a "%" without two digits is anything.
func plain(query string) bool {
	for i := 0; i < len(query); i++ {
		switch query[i] {
		case ';':
			return false
		case '%':
			if _, ok := uri.Unescape(query, i); !ok {
				return false
			}
		}
	}
	return true
}

// readAmz takes what the fields X-Amz-… say. AWS: those that are sent are signed, but
// for the token, which some services want unsigned; Admit compares all of it.
func (c *Check) readAmz() error {
	payloads, tokens := 0, 0
	if c.token != "" {
		tokens++
	}
	for i := range c.request.Fields {
		f := &c.request.Fields[i]
		if !isAmz(f.Name) {
			continue
		}
		switch name := f.Name[len(amz):]; {
		case strings.EqualFold(name, "security-token"):
			c.token = f.Value
			tokens++
			continue
		case strings.EqualFold(name, "content-sha256"):
			c.Payload = f.Value
			payloads++
		}
		if !c.Signs(f.Name) {
			return mismatch("")
		}
	}
	if payloads > 1 || tokens > 1 {
		return mismatch("")
	}
	return nil
}

const amz = "x-amz-"

func isAmz(name string) bool {
	return len(name) > len(amz) && name[0]|0x20 == 'x' && strings.EqualFold(name[:len(amz)], amz)
}

// Signs reports whether the signature covers the fields called name.
func (c *Check) Signs(name string) bool {
	for rest := c.signed; rest != ""; {
		var one string
		one, rest, _ = strings.Cut(rest, ";")
		if strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

// validNames reports whether signed is what SignedHeaders has to be: names in lower
// case, each once, in order.
func validNames(signed string) bool {
	before := ""
	for rest, more := signed, true; more; {
		var one string
		one, rest, more = strings.Cut(rest, ";")
		if one <= before {
			return false
		}
		for i := 0; i < len(one); i++ {
			if c := one[i]; c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' {
				return false
			}
		}
		before = one
	}
	return true
}

// single returns the value of the last field called name and how many there are.
func single(fields http1.Fields, name string) (value string, n int) {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			value = fields[i].Value
			n++
		}
	}
	return value, n
}
