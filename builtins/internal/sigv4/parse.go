package sigv4

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/uri"
)

// headerParts are what an Authorization header has; they are only read.
var headerParts = [...]string{"Credential", "Signature", "SignedHeaders"}

// readHeader reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…".
func (c *Check) readHeader(header string) error {
	scheme, rest, _ := strings.Cut(header, " ")
	if scheme != algorithm {
		switch {
		case strings.HasPrefix(scheme, "AWS4-"):
			return incomplete("Unsupported AWS 'algorithm'.")
		case !strings.Contains(header, "="):
			return incomplete("Invalid key=value pair (missing equal-sign) in Authorization header")
		}
	}
	var credential string
	var seen [3]bool
	for more := scheme == algorithm; more; {
		var one string
		one, rest, more = strings.Cut(rest, ",")
		name, value, _ := strings.Cut(strings.Trim(one, " "), "=")
		which := slices.Index(headerParts[:], name)
		switch {
		case which < 0:
			return incomplete("Invalid key=value pair in Authorization header")
		case seen[which]:
			return incomplete("Authorization header has '" + name + "' more than once.")
		}
		seen[which] = true
		*[...]*string{&credential, &c.signature, &c.signed}[which] = value
	}
	if err := c.readDate(); err != nil {
		return err
	}
	if missing := c.missing(credential); missing != "" {
		return incomplete(missing)
	}
	return c.readCredential(credential)
}

// missing names what an Authorization header lacks, in AWS's words.
func (c *Check) missing(credential string) string {
	var b strings.Builder
	for i, value := range [...]string{credential, c.signature, c.signed} {
		if value == "" {
			b.WriteString("Authorization header requires '" + headerParts[i] + "' parameter. ")
		}
	}
	if c.date == "" {
		b.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	return strings.TrimSuffix(b.String(), " ")
}

// readDate takes the time of a signature in the header: from X-Amz-Date, else from
// Date, which must be signed then.
func (c *Check) readDate() error {
	value, n := single(c.request.Fields, "X-Amz-Date")
	if n == 0 {
		if value, n = single(c.request.Fields, "Date"); n > 0 && !c.Signs("date") {
			return mismatch("")
		}
		if t, err := time.Parse(httpFormat, value); err == nil {
			value = iso(t)
		}
	}
	if n > 1 {
		return mismatch("")
	}
	c.date = value
	return nil
}

// readCredential takes a credential apart: ID/DATE/REGION/SERVICE/aws4_request.
func (c *Check) readCredential(credential string) error {
	id, scope, _ := strings.Cut(credential, "/")
	if id == "" || strings.Count(scope, "/") != 3 {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	c.KeyID, c.scope = id, scope
	return nil
}

// The parameters of a presigned request that aren't about it but its signature.
const (
	queryAlgorithm = iota
	queryCredential
	queryDate
	queryExpires
	querySignedHeaders
	querySignature
	queryToken
	queryParams
)

// queryNames are their names; they are only read.
var queryNames = [queryParams]string{
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token",
}

// whichParam returns which of these name, as it was sent, is; queryParams for none.
func whichParam(name string) int {
	if name == "" || name[0] != 'X' && name[0] != '%' {
		return queryParams
	}
	for which := range queryParams {
		if uri.FormIs(name, queryNames[which]) {
			return which
		}
	}
	return queryParams
}

// queried reports whether the query string claims a signature.
func (c *Check) queried() bool {
	for rest := c.request.Query; rest != ""; {
		name, _, after, ok := uri.NextParam(rest)
		if !ok {
			return false
		}
		switch whichParam(name) {
		case queryAlgorithm, queryCredential, querySignature:
			return true
		}
		rest = after
	}
	return false
}

// readQuery reads the signature of a presigned request.
func (c *Check) readQuery() error {
	var values [queryParams]string
	var seen [queryParams]bool
	for rest := c.request.Query; rest != ""; {
		name, value, after, ok := uri.NextParam(rest)
		if !ok {
			break
		}
		rest = after
		which := whichParam(name)
		if which == queryParams {
			continue
		}
		if seen[which] {
			return incomplete("AWS query-string parameters must include '" + queryNames[which] + "' once.")
		}
		seen[which], values[which] = true, decoded(value)
	}
	var missing strings.Builder
	for which := range queryToken {
		if values[which] == "" {
			missing.WriteString("AWS query-string parameters must include '" + queryNames[which] + "'. ")
		}
	}
	switch {
	case missing.Len() > 0:
		return incomplete(missing.String() + "Re-examine the query-string parameters.")
	case values[queryAlgorithm] != algorithm:
		return incomplete("Unsupported AWS 'algorithm'.")
	case seen[queryToken] && values[queryToken] == "":
		return mismatch("")
	}
	seconds, err := strconv.ParseUint(values[queryExpires], 10, 32)
	c.expires = time.Duration(seconds) * time.Second
	if err != nil || seconds == 0 || c.expires > longestExpiry {
		return incomplete("X-Amz-Expires must be between 1 and 604800 seconds.")
	}
	c.date, c.signed, c.signature, c.token = values[queryDate], values[querySignedHeaders], values[querySignature], values[queryToken]
	return c.readCredential(values[queryCredential])
}

// decoded returns a value of a query string decoded.
func decoded(value string) string {
	if !strings.ContainsAny(value, "%+") {
		return value
	}
	return string(uri.AppendForm(nil, value))
}

// Unsigned appends a raw query string to dst without what presigns it, which is
// between the client and whoever verifies it.
func Unsigned(dst []byte, query string) []byte {
	start := len(dst)
	for one := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(one, "="); whichParam(name) != queryParams {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '&')
		}
		dst = append(dst, one...)
	}
	return dst
}

// parseISO reads a time in isoFormat, exactly.
func parseISO(s string) (t time.Time, ok bool) {
	if len(s) != len(isoFormat) || s[8] != 'T' || s[15] != 'Z' {
		return time.Time{}, false
	}
	ok = true
	number := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			ok = ok && '0' <= s[i] && s[i] <= '9'
			n = n*10 + int(s[i]-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(4, 6), number(6, 8)
	hour, minute, second := number(9, 11), number(11, 13), number(13, 15)
	t = time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	// A date that doesn't exist becomes another one.
	return t, ok && t.Year() == year && int(t.Month()) == month && t.Day() == day &&
		t.Hour() == hour && t.Minute() == minute && t.Second() == second
}
