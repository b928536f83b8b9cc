package proxytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signing is how a script has a request signed.
type signing struct {
	id, secret, token string
	region, service   string
	at                time.Time
	presigned         int    // seconds; 0 signs in the header
	payload           string // X-Amz-Content-Sha256; "hash" for the content's; "" sends none
	chunk             int    // bytes of content in each signed chunk
	verb, target      string // signed instead of the request's own; "" for these
	without           []string

	day, scope string
}

// sign signs the request before by AWS's Signature Version 4. What the script adds to
// it afterwards isn't signed.
func (p *player) sign(l line) error {
	if p.pending == nil || p.pending.exact {
		return errors.New("no request before that could be signed")
	}
	words := strings.Fields(p.expand(l.rest))
	if len(words) < 2 {
		return errors.New("needs the id of a key and its secret")
	}
	s := signing{id: words[0], secret: words[1], region: "local", service: "execute-api", at: time.Now().UTC()}
	for _, word := range words[2:] {
		if err := s.option(word); err != nil {
			return err
		}
	}
	s.apply(p.pending, p.defaultHost())
	return nil
}

func (s *signing) option(word string) error {
	name, value, _ := strings.Cut(word, "=")
	var err error
	switch name {
	case "region":
		s.region = value
	case "service":
		s.service = value
	case "token":
		s.token = value
	case "payload":
		s.payload = value
	case "verb":
		s.verb = value
	case "target":
		s.target = value
	case "without":
		s.without = append(s.without, value)
	case "presigned":
		s.presigned, err = strconv.Atoi(value)
	case "chunk":
		s.chunk, err = strconv.Atoi(value)
	case "off":
		var off time.Duration
		off, err = time.ParseDuration(value)
		s.at = s.at.Add(off)
	default:
		err = fmt.Errorf("don't understand %q", word)
	}
	return err
}

// apply adds a signature to r.
func (s *signing) apply(r *request, host string) {
	s.day = s.at.Format("20060102")
	s.scope = strings.Join([]string{s.day, s.region, s.service, "aws4_request"}, "/")
	content := r.content
	if s.chunk > 0 {
		s.payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
		r.fields = append(r.fields, field{name: "X-Amz-Decoded-Content-Length", value: strconv.Itoa(len(content))})
	}
	payload := s.payload
	switch payload {
	case "", "hash":
		payload = digest(content)
	}
	if s.payload != "" {
		r.fields = append(r.fields, field{name: "X-Amz-Content-Sha256", value: payload})
	}
	stamp := s.at.Format("20060102T150405Z")
	own := url.Values{}
	if s.presigned > 0 {
		own.Set("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
		own.Set("X-Amz-Credential", s.id+"/"+s.scope)
		own.Set("X-Amz-Date", stamp)
		own.Set("X-Amz-Expires", strconv.Itoa(s.presigned))
		if s.token != "" {
			own.Set("X-Amz-Security-Token", s.token)
		}
	} else {
		r.fields = append(r.fields, field{name: "X-Amz-Date", value: stamp})
		if s.token != "" {
			r.fields = append(r.fields, field{name: "X-Amz-Security-Token", value: s.token})
		}
	}
	names, lines := s.signed(r.fields, host)
	if s.presigned > 0 {
		own.Set("X-Amz-SignedHeaders", names)
	}
	verb, target := r.verb, r.target
	if s.verb != "" {
		verb = s.verb
	}
	if s.target != "" {
		target = s.target
	}
	path, query, _ := strings.Cut(target, "?")
	signature := s.signature(stamp, strings.Join([]string{
		verb, twice(path), canonicalQuery(query, own), lines, names, payload}, "\n"))
	if s.presigned > 0 {
		own.Set("X-Amz-Signature", signature)
		mark := "?"
		if strings.Contains(r.target, "?") {
			mark = "&"
		}
		r.target += mark + own.Encode()
	} else {
		r.fields = append(r.fields, field{name: "Authorization", value: "AWS4-HMAC-SHA256 Credential=" + s.id + "/" + s.scope +
			", SignedHeaders=" + names + ", Signature=" + signature})
	}
	if s.chunk > 0 {
		r.content = s.chunks(content, stamp, signature)
	}
}

// signed returns the names and the lines of the fields that are signed: all of them.
func (s *signing) signed(fields []field, host string) (names, lines string) {
	values := map[string][]string{}
	if !has(fields, "Host") {
		values["host"] = []string{host}
	}
	for _, f := range fields {
		if name := strings.ToLower(f.name); !slices.Contains(s.without, name) {
			values[name] = append(values[name], strings.Join(strings.Fields(f.value), " "))
		}
	}
	var all []string
	for name := range values {
		all = append(all, name)
	}
	slices.Sort(all)
	for _, name := range all {
		lines += name + ":" + strings.Join(values[name], ",") + "\n"
	}
	return strings.Join(all, ";"), lines
}

// twice returns a path encoded once more.
func twice(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(parts[i]), "+", "%20")
	}
	return strings.Join(parts, "/")
}

func canonicalQuery(query string, own url.Values) string {
	all, _ := url.ParseQuery(query) // scripts send what they want
	for name, values := range own {
		all[name] = values
	}
	for _, values := range all {
		slices.Sort(values)
	}
	return strings.ReplaceAll(all.Encode(), "+", "%20")
}

// signature signs a canonical request.
func (s *signing) signature(stamp, canonical string) string {
	return hex.EncodeToString(code(s.key(), strings.Join([]string{"AWS4-HMAC-SHA256", stamp, s.scope, digest(canonical)}, "\n")))
}

func (s *signing) key() []byte {
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{s.day, s.region, s.service, "aws4_request"} {
		key = code(key, part)
	}
	return key
}

// chunks returns content as signed chunks, which follow signature.
func (s *signing) chunks(content, stamp, signature string) string {
	var b strings.Builder
	for done := false; !done; {
		part := content[:min(s.chunk, len(content))]
		content, done = content[len(part):], part == ""
		signature = hex.EncodeToString(code(s.key(), strings.Join(
			[]string{"AWS4-HMAC-SHA256-PAYLOAD", stamp, s.scope, signature, digest(""), digest(part)}, "\n")))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", len(part), signature, part)
	}
	return b.String()
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func code(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // it never fails
	return h.Sum(nil)
}
