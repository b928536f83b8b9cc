package gatewayresponse

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
)

// maxContent is how much content a gateway response may come to. A longer one
// falls back to the default.
const maxContent = 1 << 20

// refusal has the responses of one stage, by kind of fault.
type refusal struct {
	nowhere *proxy.Route // lends the stage to variables where no route matched
	rows    [proxy.FaultKinds]row
}

// row is what a kind of fault leads to.
type row struct {
	name     string    // $context.error.responseType
	response *response // nil leaves the default
}

// response is a customised gateway response.
type response struct {
	status  int // 0 keeps the kind's own
	headers []headerOf
	bodies  []body
}

// headerOf is a header with its value's source.
type headerOf struct {
	field http1.Field // without a value
	source
}

// body is the content for one media type.
type body struct {
	mediaType string      // lower case
	field     http1.Field // Content-Type
	template  template
}

// failure is what is said of one exchange.
type failure struct {
	ex    *proxy.Exchange
	fault proxy.Fault
	name  string
}

// Refuse makes the configured answer of ex.Reply, if there is one.
func (r *refusal) Refuse(ex *proxy.Exchange, f proxy.Fault) {
	row := &r.rows[f.Kind]
	if row.response == nil {
		return
	}
	if ex.Route == nil {
		ex.Route = r.nowhere
		defer func() { ex.Route = nil }()
	}
	row.response.answer(&failure{ex, f, row.name})
}

func (r *response) answer(why *failure) {
	reply := &why.ex.Reply
	if r.status != 0 {
		reply.Status = r.status
	}
	if b := r.bodyFor(why.ex.In.Fields.GetKnown(http1.Accept)); b != nil {
		content := b.template.append(nil, why)
		if len(content) <= maxContent {
			reply.Content = content
			reply.Fields.Set("Content-Type", b.field.Value)
		}
	}
	for i := range r.headers {
		h := &r.headers[i]
		// AWS drops the header whose source has no value.
		if value, found := h.text(why); found && http1.ValidFieldValue(value) {
			reply.Fields.Set(h.field.Name, value)
		}
	}
}

// bodyFor returns the content for a client that accepts accept; nil for none. AWS:
// "Gateway responses in API Gateway": by Accept, application/json without one. What
// is accepted first counts, whatever its q.
func (r *response) bodyFor(accept string) *body {
	if len(r.bodies) == 0 {
		return nil
	}
	for rest := accept; rest != ""; {
		var one string
		one, rest, _ = strings.Cut(rest, ",")
		one, _, _ = strings.Cut(one, ";")
		one = strings.Trim(one, " \t")
		for i := range r.bodies {
			if strings.EqualFold(r.bodies[i].mediaType, one) {
				return &r.bodies[i]
			}
		}
	}
	for i := range r.bodies {
		if r.bodies[i].mediaType == "application/json" {
			return &r.bodies[i]
		}
	}
	return &r.bodies[0]
}

// text returns the value of s. It is valid as long as the exchange.
func (s *source) text(why *failure) (string, bool) {
	switch s.ofFault {
	case faultMessage:
		return why.fault.Text(), why.fault.Text() != ""
	case faultMessageString:
		if text := why.fault.Text(); text != "" {
			return string(document.AppendString(nil, text)), true
		}
		return "null", true
	case faultResponseType:
		return why.name, true
	case faultValidation:
		return why.fault.Detail, why.fault.Detail != ""
	}
	text, found, err := s.RequestText(why.ex, nil)
	return text, found && err == nil
}
