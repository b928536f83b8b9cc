//go:build wasip1

// Command sign signs requests to a backend, which then knows that they came
// through the gateway. RFC 9421 with HMAC-SHA256, over method, authority, path,
// query, date and a digest of the content.
//
//	config = { key_id = "gateway", secret = "…" }
package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	s := new(signer)
	postern.Configure(s.configure)
	postern.MapRequests(s.sign)
}

func main() {} // the gateway calls the methods; this never runs

type signer struct {
	keyID   string // as a string of RFC 8941, with its quotes
	secret  []byte
	label   string
	headers []string // in lower case
	expires int64    // seconds
}

func (s *signer) configure(config []byte) error {
	document, err := postern.ParseJSON(config)
	if err != nil {
		return err
	}
	if s.keyID, err = quoted(document.Get("$.key_id")); err != nil {
		return fmt.Errorf("key_id: %w", err)
	}
	if s.secret = []byte(document.Get("$.secret")); len(s.secret) < 16 {
		return errors.New("secret has fewer than 16 bytes")
	}
	if s.label = document.Get("$.label"); s.label == "" {
		s.label = "postern"
	}
	s.expires = 300
	if text, found := document.Lookup("$.expires"); found {
		if s.expires, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("expires: %w", err)
		}
	}
	for i := range document.Count("$.headers") {
		name := strings.ToLower(document.Get("$.headers[" + strconv.Itoa(i) + "]"))
		switch name {
		case "content-digest":
			continue // is signed anyway
		case "signature", "signature-input", "content-length", "connection", "host", "transfer-encoding":
			return fmt.Errorf("headers[%d]: %s can't be signed: the gateway makes it later", i, name)
		}
		s.headers = append(s.headers, name)
	}
	return nil
}

// quoted returns text as a string of a structured field. RFC 8941, 4.1.6.
func quoted(text string) (string, error) {
	if text == "" {
		return "", errors.New("it is missing")
	}
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return "", errors.New("it has other characters than ASCII's printable ones")
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`, nil
}

func (s *signer) sign(r *postern.Request, to *postern.Backend) {
	content := postern.Hash(postern.SHA256, to.Body().Bytes())
	if len(content) == 0 {
		postern.Fail(1, "the content is too long to be digested within a call")
		return
	}
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(content) + ":"

	// What is signed. RFC 9421, 2.5: a line for each component, the last one says which.
	path, query, _ := strings.Cut(to.Target(), "?")
	if path == "" {
		path = "/"
	}
	var lines, names strings.Builder
	add := func(name, value string) {
		fmt.Fprintf(&lines, "%q: %s\n", name, value)
		if names.Len() > 0 {
			names.WriteByte(' ')
		}
		names.WriteString(`"` + name + `"`)
	}
	add("@method", to.Method())
	add("@authority", strings.ToLower(to.Host()))
	add("@path", path)
	add("@query", "?"+query)
	add("content-digest", digest)
	for _, name := range s.headers {
		if value, found := combined(to.Headers(), name); found {
			add(name, value)
		}
	}
	created := time.Now().Unix()
	// The request's id is new each time: a backend that remembers it sees a repetition.
	nonce, err := quoted(r.ID())
	if err != nil {
		postern.Fail(1, "the request's id: "+err.Error())
		return
	}
	parameters := fmt.Sprintf(`(%s);created=%d;expires=%d;nonce=%s;alg="hmac-sha256";keyid=%s`, names.String(), created, created+s.expires, nonce, s.keyID)
	fmt.Fprintf(&lines, `"@signature-params": %s`, parameters)
	mark := postern.HMAC(postern.SHA256, s.secret, []byte(lines.String()))

	set := to.Headers().Set("Content-Digest", digest) &&
		to.Headers().Set("Signature-Input", s.label+"="+parameters) &&
		to.Headers().Set("Signature", s.label+"=:"+base64.StdEncoding.EncodeToString(mark)+":")
	if len(mark) == 0 || !set {
		postern.Fail(1, "the request can't be signed")
	}
}

// combined returns a header's values as one. RFC 9421, 2.1.
func combined(headers postern.Map, name string) (value string, found bool) {
	headers.Each(func(n, v string) bool {
		if strings.EqualFold(n, name) {
			if found {
				value += ", "
			}
			value, found = value+strings.Trim(v, " \t"), true
		}
		return true
	})
	return value, found
}
