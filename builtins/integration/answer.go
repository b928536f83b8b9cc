package integration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// defaultMediaType is what a template is for when nobody says.
const defaultMediaType = "application/json"

// answer is one [response.x]: an integration response with its method response.
type answer struct {
	status int
	fields http1.Fields
	typed  bool   // fields has a Content-Type
	bodies []body // application/json first, then by name; empty for none
}

// body is the content for one media type.
type body struct {
	mediaType string      // lower case
	field     http1.Field // Content-Type
	content   []byte      // never changed
}

// newAnswer builds the answer called name. What is wrong is added to bad.
func newAnswer(name string, r config.Response, bad *problems) answer {
	a := answer{status: r.Status}
	if a.status == 0 {
		a.status = 200
	}
	if a.status < 200 || a.status > 599 {
		bad.add(fmt.Sprintf("%d isn't the status of an answer", a.status), "200 to 599", "response", name, "status")
	}
	for _, header := range sortedKeys(r.Headers) {
		at := []string{"response", name, "headers", header}
		value := r.Headers[header]
		checkHeader(header, value, a.fields, bad, at)
		f := http1.NewField(header, value)
		if renamed := remapped[f.Known()]; renamed.Name != "" {
			f = renamed
			f.Value = value
		}
		a.typed = a.typed || f.Known() == http1.ContentType
		a.fields = append(a.fields, f)
	}
	for _, mediaType := range sortedKeys(r.Template) {
		at := []string{"response", name, "template", mediaType}
		if !goodMediaType(mediaType) {
			bad.add(fmt.Sprintf("%q isn't a media type", mediaType), `as in "application/json", without parameters`, at...)
		}
		if slices.ContainsFunc(a.bodies, func(b body) bool { return strings.EqualFold(b.mediaType, mediaType) }) {
			bad.add(fmt.Sprintf("%s is there twice: case makes no difference", mediaType), "", at...)
		}
		if found := reference(r.Template[mediaType].Text); found != "" {
			bad.add(fmt.Sprintf("the template has the reference or directive %q", found),
				"mapping templates with references aren't supported yet: write the text as the client shall get it", at...)
		}
		// AWS trims templates before it renders them.
		a.bodies = append(a.bodies, body{
			mediaType: strings.ToLower(mediaType),
			field:     http1.NewField("Content-Type", mediaType),
			content:   []byte(strings.TrimSpace(r.Template[mediaType].Text)),
		})
	}
	if len(a.bodies) > 0 && (noContent(a.status) || a.status == 205) {
		bad.add(fmt.Sprintf("an answer of status %d has no content", a.status), "remove the template, or choose another status", "response", name, "template")
	}
	slices.SortStableFunc(a.bodies, func(x, y body) int {
		switch {
		case x.mediaType == y.mediaType:
			return 0
		case x.mediaType == defaultMediaType:
			return -1
		case y.mediaType == defaultMediaType:
			return 1
		}
		return 0 // sorted already
	})
	return a
}

// checkHeader judges one literal header of an answer.
func checkHeader(name, value string, before http1.Fields, bad *problems, at []string) {
	if !http1.ValidFieldName(name) {
		bad.add(fmt.Sprintf("%q isn't a header name", name), "letters, digits and -", at...)
		return
	}
	if _, twice := before.Lookup(name); twice {
		bad.add(fmt.Sprintf("%s is there twice: case makes no difference", name), "", at...)
	}
	switch k := http1.KnownName(name); k {
	case http1.TransferEncoding, http1.TE, http1.KeepAlive, http1.ProxyConnection, http1.HTTP2Settings:
		bad.add(name+" belongs to the connection, which is the gateway's", "remove it", at...)
	case http1.XAmznRequestID, http1.XAmzApigwID, http1.XAmznTraceID:
		bad.add(name+" is the gateway's own", "remove it", at...)
	}
	if !http1.ValidFieldValue(value) {
		bad.add("the value holds a control character, or begins or ends with white space", "", at...)
		return
	}
	if len(value) >= 2 && value[0] == '\'' && value[len(value)-1] == '\'' {
		bad.add("the value is quoted as in an AWS parameter mapping", "write "+value[1:len(value)-1]+" without the single quotes", at...)
	}
	for _, source := range []string{"integration.response.", "method.request.", "context.", "stageVariables."} {
		if strings.HasPrefix(value, source) {
			bad.add(fmt.Sprintf("%q is a parameter mapping, which isn't supported yet", value), "write the value as it stands", at...)
		}
	}
}

func goodMediaType(s string) bool {
	kind, subtype, found := strings.Cut(s, "/")
	return found && http1.ValidFieldName(kind) && http1.ValidFieldName(subtype)
}

// bodyFor returns the content for a client that accepts accept, nil for none.
// AWS: "API Gateway mapping template and access logging variable reference":
// the first media type of Accept decides; where it has no template,
// application/json has, or whatever there is.
func (a *answer) bodyFor(accept string) *body {
	if len(a.bodies) == 0 {
		return nil
	}
	first, _, _ := strings.Cut(accept, ",")
	first, _, _ = strings.Cut(first, ";")
	first = strings.Trim(first, " \t")
	for i := range a.bodies {
		if strings.EqualFold(a.bodies[i].mediaType, first) {
			return &a.bodies[i]
		}
	}
	return &a.bodies[0]
}

// start makes a the reply, as far as it is literal. It reports whether the
// content is, too.
func (a *answer) start(ex *proxy.Exchange) (complete bool) {
	fields := append(ex.Reply.Fields[:0], a.fields...)
	content := a.bodyFor(ex.In.Fields.GetKnown(http1.Accept))
	reply := proxy.Response{Status: a.status}
	if content != nil {
		reply.Content, reply.Length = content.content, int64(len(content.content))
		if !a.typed {
			fields = append(fields, content.field)
		}
	}
	reply.Fields = fields
	ex.Reply = reply
	return content != nil
}
