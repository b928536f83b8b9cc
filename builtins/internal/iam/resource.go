package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/uri"
)

// encodedSlash stands for "%2F" where everything else is decoded: no path holds
// this byte otherwise.
const encodedSlash = 0

// AppendPath appends a path, or more of a resource's name, as policies see it:
// decoded once, for routes are found by what is decoded, and a policy that said
// otherwise would be one that "%70ets" gets around. Only an encoded slash stays
// different from a slash, as it does for routes. An escape that is none, and
// "%00", stand for themselves.
func AppendPath(dst []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if decoded, ok := uri.Unescape(path, i); ok && decoded != 0 {
				c = decoded
				if c == '/' {
					c = encodedSlash
				}
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// resource is one pattern of Resource or NotResource.
type resource struct {
	source  string
	any     bool // "*"
	foreign bool // another service's: fits nothing here

	region, account, rest pattern
}

// fits compares part by part: a star in the region never reaches into the path,
// where a client could write what stands behind it.
func (p *resource) fits(r *Request) bool {
	if p.any {
		return true
	}
	return !p.foreign && p.rest.matches(r.Resource, r.Facts) &&
		p.region.matches(r.Region, r.Facts) && p.account.matches(r.Account, r.Facts)
}

// The parts of an ARN: arn, partition, service, region, account and the resource.
const arnParts = 6

// arnFields cuts text at its first five colons; those in variables don't count.
func arnFields(text string) []string {
	var parts []string
	begin := 0
	for i := 0; i < len(text) && len(parts) < arnParts-1; i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			if end := variableEnd(text[i:]); end > 0 {
				i += end
			}
		case text[i] == ':':
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// resource compiles one pattern.
func (c *compiler) resource(text string) (r resource, problem, hint string) {
	r.source = text
	if text == "*" {
		r.any = true
		return r, "", ""
	}
	if short, found := strings.CutPrefix(text, service+":/"); found {
		if c.API == "" {
			return r, "the short form of a resource is for resource policies", "write arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/VERB/PATH"
		}
		text = strings.Join([]string{"arn", partition, service, c.Region, c.Account, c.API + "/" + short}, ":")
	}
	parts := arnFields(text)
	if len(parts) < arnParts {
		if !strings.HasSuffix(text, "*") || parts[0] != "arn" && len(parts) > 1 {
			hint = "write arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/VERB/PATH"
			if c.API != "" {
				hint += ", or execute-api:/STAGE/VERB/PATH"
			}
			return r, "not the name of a resource", hint
		}
		for len(parts) < arnParts {
			parts = append(parts, "*")
		}
	}
	var patterns [arnParts]pattern
	for i, part := range parts {
		s := c.syntax(wildcards)
		if i == arnParts-1 {
			part = withoutLastSlash(part)
			s |= escapes
		}
		if patterns[i], problem, hint = compilePattern(part, s); problem != "" {
			return r, problem, hint
		}
	}
	for i, want := range []string{"arn", partition, service} {
		if patterns[i].variables {
			return r, "a variable in the " + []string{"word arn", "partition", "service"}[i], ""
		}
		r.foreign = r.foreign || !patterns[i].matches(want, nil)
	}
	if r.foreign && c.Resource {
		return r, "not a resource of execute-api", "a resource policy is about its API: write execute-api:/STAGE/VERB/PATH"
	}
	r.region, r.account, r.rest = patterns[3], patterns[4], patterns[5]
	if c.Resource && !r.foreign {
		problem, hint = c.unreachable(parts[arnParts-1])
	}
	return r, problem, hint
}

// verbs are the methods that a resource can name.
var verbs = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

// unreachable says why rest, API/STAGE/VERB/PATH of a resource policy, is no method
// of its API: a Deny that stands for nothing is a hole that nobody sees. Behind
// the first wildcard anything may stand.
func (c *compiler) unreachable(rest string) (problem, hint string) {
	const form = "write execute-api:/STAGE/VERB/PATH"
	segments := strings.SplitN(rest, "/", 4)
	for i, s := range segments[:min(len(segments), 3)] {
		switch {
		case strings.ContainsAny(s, "*?$%"):
			return "", ""
		case i == 0 && s != c.API:
			return fmt.Sprintf("the resource is of the API %q, the policy of %q", s, c.API), form
		case i == 2 && slices.Contains(verbs, strings.ToUpper(s)) && s != strings.ToUpper(s):
			return fmt.Sprintf("%q isn't a verb", s), fmt.Sprintf("case matters: write %q", strings.ToUpper(s))
		case i == 2 && !slices.Contains(verbs, s):
			return fmt.Sprintf("%q isn't a verb", s), form + ", with * for any verb"
		}
	}
	if len(segments) < 4 {
		return "the resource has no path", form
	}
	return "", ""
}

// withoutLastSlash cuts the slash at the end of a path, which changes nothing in
// the way routes are found, off API/STAGE/VERB/PATH/.
func withoutLastSlash(rest string) string {
	if cut, found := strings.CutSuffix(rest, "/"); found && strings.Count(cut, "/") >= 3 {
		return cut
	}
	return rest
}
