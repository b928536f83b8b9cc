package mapping

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
)

// Handling is a content_handling: how a message's content is converted between
// bytes and text, which is their base64.
type Handling uint8

// The handlings. AWS: "Content type conversions in API Gateway".
const (
	AsIs     Handling = iota
	ToText            // CONVERT_TO_TEXT
	ToBinary          // CONVERT_TO_BINARY
)

// ParseHandling returns the handling that the configuration calls name; "" is AsIs.
func ParseHandling(name string) Handling {
	switch name {
	case "convert_to_text":
		return ToText
	case "convert_to_binary":
		return ToBinary
	}
	return AsIs
}

// Conversion is what is done to content.
type Conversion uint8

const (
	// Keep leaves it.
	Keep Conversion = iota
	// Encode makes base64 of it.
	Encode
	// Decode makes bytes of its base64.
	Decode
)

// Request returns what happens to the content of a request that is binary or
// not. AWS: "Content type conversions in API Gateway", table for requests.
func (h Handling) Request(binary bool) Conversion {
	switch {
	case h == ToText && binary:
		return Encode
	case h == ToBinary && !binary:
		return Decode
	}
	return Keep
}

// Response is Request for a response to a client that accepts binary content or
// doesn't; the same page's table for responses, which was recorded cell by cell.
func (h Handling) Response(binary, accepted bool) Conversion {
	switch {
	case h == ToText && binary, h == AsIs && binary && !accepted:
		return Encode
	case h == ToBinary && !binary, h == AsIs && !binary && accepted:
		return Decode
	}
	return Keep
}

// Apply converts content. What isn't base64 is AWS's 500; white space around it is
// good, and so are quotes: a function that returns base64 answers a JSON string.
// AWS: "Return binary media from a Lambda non-proxy integration in API Gateway".
func (c Conversion) Apply(content []byte) ([]byte, error) {
	switch c {
	case Encode:
		return base64.StdEncoding.AppendEncode(nil, content), nil
	case Decode:
		content = bytes.TrimSpace(content)
		if n := len(content); n >= 2 && content[0] == '"' && content[n-1] == '"' {
			content = content[1 : n-1]
		}
		decoded, err := base64.StdEncoding.AppendDecode(nil, content)
		if err != nil {
			return nil, proxy.Fault{Kind: proxy.APIConfigurationError, Cause: fmt.Errorf("content handling: the content isn't base64: %w", err)}
		}
		return decoded, nil
	}
	return content, nil
}

// Around has template make something of content that is binary or not, and
// converts it: to base64 before, so that the template sees text, and from base64
// afterwards, so that it may have made that.
func (c Conversion) Around(content []byte, binary bool, template func([]byte) ([]byte, error)) ([]byte, error) {
	if binary && c == Keep && len(content) > 0 {
		return nil, proxy.Fault{Kind: proxy.APIConfigurationError, Cause: errBytes}
	}
	var err error
	if c == Encode {
		if content, err = c.Apply(content); err != nil {
			return nil, err
		}
	}
	if content, err = template(content); err != nil || c != Decode {
		return content, err
	}
	return c.Apply(content)
}

// errBytes is a template for content that is bytes: AWS's 500.
var errBytes = errors.New(`a template can't see content that is bytes: set content_handling = "convert_to_text"`)
