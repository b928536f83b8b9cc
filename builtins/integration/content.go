package integration

import (
	"bytes"
	"fmt"
	"io"

	"github.com/postern-gateway/postern/builtins/coding"
	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// content is what an integration does with the request's content.
type content struct {
	templates   mapping.Templates
	passthrough string
	handling    mapping.Handling
	binary      proxy.MediaTypes
}

// newContent compiles the templates and the conversion of an integration's
// request; nil if content passes as it is.
func newContent(b proxy.Build, in *config.Integration, bad *problems) *content {
	c := &content{
		templates: mapping.CompileTemplates(in.Template, mapping.Request, b, func(err *config.KeyError) {
			*bad = append(*bad, err)
		}, "template"),
		passthrough: in.Passthrough,
		handling:    mapping.ParseHandling(in.ContentHandling),
		binary:      b.Route.Stage.API.Binary,
	}
	if len(c.templates) == 0 && c.passthrough != "never" && c.handling == mapping.AsIs {
		return nil
	}
	return c
}

// choose returns the template for a request, nil to pass its content on. AWS:
// "Integration passthrough behaviors".
func (c *content) choose(contentType string) (*mapping.Template, error) {
	t := c.templates.ForRequest(contentType)
	if t == nil && (c.passthrough == "never" || c.passthrough == "when_no_templates" && len(c.templates) > 0) {
		return nil, proxy.Fault{Kind: proxy.UnsupportedMediaType, Cause: fmt.Errorf("no template for %q, and passthrough is %q", contentType, c.passthrough)}
	}
	return t, nil
}

// mapContent returns the content for the integration, and the template that was
// chosen. whole is false if the client's content passes as it is.
func (c *content) mapContent(ex *proxy.Exchange, mem *mapping.Memory) (out []byte, whole bool, t *mapping.Template, err error) {
	contentType := ex.In.Fields.GetKnown(http1.ContentType)
	if t, err = c.choose(contentType); err != nil {
		return nil, false, nil, err
	}
	explainTemplate(ex, t, "Content-Type", contentType)
	binary := c.binary.Has(contentType)
	conversion := c.handling.Request(binary)
	if t == nil && conversion == mapping.Keep {
		return nil, false, nil, nil
	}
	if err = ex.ReadWhole(ex.BodyLimit()); err != nil {
		return nil, false, nil, err
	}
	if t == nil || t.Plugin != nil {
		out, err = conversion.Apply(ex.In.Content)
		return out, true, t, err
	}
	out, err = renderContent(t, mem, ex.In.Content, conversion, binary)
	return out, true, t, err
}

// renderContent returns what a template makes of content, converted.
func renderContent(t *mapping.Template, mem *mapping.Memory, content []byte, c mapping.Conversion, binary bool) ([]byte, error) {
	if t.Literal != nil {
		if c == mapping.Decode {
			return c.Apply(t.Literal)
		}
		return t.Literal, nil
	}
	return c.Around(content, binary, func(content []byte) ([]byte, error) { return t.Render(mem, content) })
}

// maxAnswer is the most content of an answer that is read whole, in bytes. AWS:
// "Amazon API Gateway quotas": a payload of 10 MB.
const maxAnswer = 10 << 20

// readBack reads the backend's content whole and takes its coding off, so that it
// can be mapped.
func readBack(ex *proxy.Exchange) error {
	back := &ex.Back
	if back.Body != nil {
		if back.Length > maxAnswer {
			return tooLong(back.Length)
		}
		read := bytes.NewBuffer(make([]byte, 0, max(512, back.Length+bytes.MinRead)))
		n, err := io.Copy(read, io.LimitReader(back.Body, maxAnswer+1))
		switch {
		case n > maxAnswer:
			return tooLong(n)
		case err != nil:
			if f, is := err.(proxy.Fault); is {
				return f
			}
			return proxy.Fault{Kind: proxy.IntegrationFailure, Cause: fmt.Errorf("read the backend's content: %w", err)}
		}
		back.Content, back.Body, back.Length = read.Bytes(), nil, n
	}
	coded := back.Fields.GetKnown(http1.ContentEncoding)
	if coded == "" || len(back.Content) == 0 {
		return nil
	}
	decoded, err := coding.Decode(back.Content, coded, maxAnswer)
	if err != nil {
		return proxy.Fault{Kind: proxy.APIConfigurationError, Cause: fmt.Errorf("the backend's content is coded as %q: %w", coded, err)}
	}
	back.Content, back.Length = decoded, int64(len(decoded))
	kept := back.Fields[:0]
	for i := range back.Fields {
		if back.Fields[i].Known() != http1.ContentEncoding {
			kept = http1.AppendCopy(kept, &back.Fields[i])
		}
	}
	back.Fields = kept
	return nil
}

// tooLong is AWS's fault, and its words in the log.
func tooLong(length int64) error {
	return proxy.Fault{Kind: proxy.APIConfigurationError,
		Cause: fmt.Errorf("integration response of reported length %d is larger than allowed maximum of %d bytes", length, maxAnswer)}
}

// convertBack converts the backend's content as the client accepts it. Without
// binary media types and content_handling there is nothing to do.
func convertBack(ex *proxy.Exchange, handling mapping.Handling, binary proxy.MediaTypes) error {
	if len(binary) == 0 && handling == mapping.AsIs {
		return nil
	}
	isBinary := binary.Has(ex.Back.Fields.GetKnown(http1.ContentType))
	accepts := binary.Has(ex.In.Fields.GetKnown(http1.Accept))
	conversion := handling.Response(isBinary, accepts)
	if conversion == mapping.Keep || ex.Back.Body == nil && len(ex.Back.Content) == 0 {
		return nil
	}
	if err := readBack(ex); err != nil {
		return err
	}
	content, err := conversion.Apply(ex.Back.Content)
	ex.Back.Content, ex.Back.Length = content, int64(len(content))
	return err
}
