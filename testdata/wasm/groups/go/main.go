//go:build wasip1

// Command groups answers what each of the pure capability groups says; header x-do
// names it, and x-in is its input.
package main

import (
	"strconv"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	g := new(groups)
	postern.Configure(g.configure)
	postern.FilterRequests(g.request)
}

func main() {} // the gateway calls the methods; this never runs

type groups struct {
	key   postern.Key
	regex postern.Regex
}

func (g *groups) configure(config []byte) error {
	document, err := postern.ParseJSON(config)
	if err != nil {
		return err
	}
	if g.key, err = postern.LoadKey(document.Get("$.keys")); err != nil {
		return err
	}
	g.regex, err = postern.CompileRegex("([a-z]+)-([0-9]+)")
	return err
}

func (g *groups) request(r *postern.Request, to *postern.Response) postern.Verdict {
	to.SetStatus(200)
	to.Headers().Set("content-type", "text/plain")
	to.Body().WriteString(g.result(r, r.Header("x-do"), r.Header("x-in")))
	return postern.Respond
}

func (g *groups) result(r *postern.Request, what, in string) string {
	switch what {
	case "hash":
		return postern.Encode(postern.Hex, postern.Hash(postern.SHA256, []byte(in)))
	case "hmac":
		return postern.Encode(postern.Hex, postern.HMAC(postern.SHA256, []byte("key"), []byte(in)))
	case "equal":
		return strconv.FormatBool(postern.Equal(in, "same"))
	case "jwt":
		claims, err := g.key.VerifyJWT(in)
		if err != nil {
			return "none"
		}
		document, _ := postern.ParseJSON(claims)
		return document.Get("$.sub")
	case "find":
		return orNone(g.regex.Find(in, 2))
	case "match":
		return strconv.FormatBool(g.regex.Match(in))
	case "replace":
		return g.regex.Replace(in, "$2 $1")
	case "encode":
		return postern.Encode(postern.Base64URL, []byte(in))
	case "decode":
		b := postern.Decode(postern.Base64, in)
		return orNone(string(b), b != nil)
	case "json":
		return document(in)
	case "entries":
		n, all := 0, ""
		r.Queries(func(name, value string) bool {
			n++
			all += ";" + name + "=" + value
			return true
		})
		return strconv.Itoa(n) + all
	}
	return "unknown"
}

func document(in string) string {
	d, err := postern.ParseJSON([]byte(in))
	if err != nil {
		return "none"
	}
	before := strconv.Itoa(d.Count("$.a")) + d.Name("$", 0) + orNone(d.Lookup("$.a[1].b"))
	_ = d.SetText("$.n", "\"\n")
	_ = d.Delete("$.a")
	return before + string(d.Bytes())
}

func orNone(s string, found bool) string {
	if !found {
		return "none"
	}
	return s
}
