package mapping

import (
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/builtins/internal/xmljson"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// xmlConversion is a template that makes XML of JSON, or JSON of XML.
type xmlConversion struct {
	options xmljson.Options
	convert func(dst, text []byte, o *xmljson.Options) ([]byte, error)
	broken  proxy.FaultKind // of content that can't be converted
}

// compileXML makes t the conversion that c says.
func (t *Template) compileXML(c *config.XML, side Side, b proxy.Build, fail func(*config.KeyError)) {
	wrongXML := func(text, hint string, key string) {
		fail(&config.KeyError{Path: []string{"xml", key}, Text: text, Hint: hint})
	}
	convert := c.Convert
	if convert == "" {
		convert = "to_xml"
		if side == Response {
			convert = "to_json"
		}
	}
	x := &xmlConversion{
		options: xmljson.Options{Wrap: c.Wrap, Namespaces: c.Namespaces, Arrays: c.Arrays, Bare: c.StripPrefixes},
		convert: xmljson.ToXML,
		broken:  proxy.BadRequestBody,
	}
	made := "text/xml; charset=utf-8"
	switch convert {
	case "to_json":
		made, x.convert = defaultMediaType, xmljson.ToJSON
		if len(c.Namespaces) > 0 {
			wrongXML("namespaces are declared in XML that is made", `remove them, or write convert = "to_xml"`, "namespaces")
		}
	default:
		if len(c.Arrays) > 0 || c.StripPrefixes {
			fail(&config.KeyError{Path: []string{"xml"}, Text: "arrays and strip_prefixes are for JSON that is made", Hint: `remove them, or write convert = "to_json"`})
		}
		if err := x.options.Check(); err != nil {
			fail(&config.KeyError{Path: []string{"xml"}, Text: err.Error(), Hint: `as in { wrap = ["soap:Envelope", "soap:Body"], namespaces = { soap = "http://schemas.xmlsoap.org/soap/envelope/" } }`})
		}
	}
	if c.ContentType != "" {
		made = c.ContentType
	}
	switch {
	case side == Response:
		x.broken = proxy.BadIntegration
		if c.ContentType != "" {
			wrongXML("a response has the media type that its template is for", "remove it", "content_type")
		}
	case b.Route.Kind == "mock":
		fail(wrong("mock chooses its answer by the statusCode in what the template makes, which a conversion doesn't", "write a template"))
	default:
		t.Made = http1.NewField("Content-Type", made)
	}
	t.xml = x
}

var errNotConverted = errors.New("the content can't be converted between XML and JSON")

// render converts content. None stays none on the way to JSON, and counts as {} on the
// way to XML.
func (x *xmlConversion) render(content []byte) ([]byte, error) {
	if len(content) == 0 {
		if x.broken == proxy.BadIntegration {
			return nil, nil
		}
		content = []byte("{}")
	}
	out, err := x.convert(nil, content, &x.options)
	if err != nil {
		if x.broken == proxy.BadRequestBody { // what quotes the client's content isn't for the log
			return nil, proxy.Fault{Kind: x.broken, Detail: "[" + err.Error() + "]", Cause: errNotConverted}
		}
		return nil, proxy.Fault{Kind: x.broken, Cause: fmt.Errorf("convert the integration's content: %w", err)}
	}
	return out, nil
}
