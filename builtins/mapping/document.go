package mapping

import (
	"bytes"
	"unsafe"

	"github.com/postern-gateway/postern/proxy/expr"
)

// Document is the content of a message for mappings that look into it. It is
// read as JSON once, when the first asks. The zero value is empty content.
type Document struct {
	Content []byte
	// Error says that this is a function's error, whose errorMessage may hold JSON
	// that mappings look into. AWS: "Handle Lambda errors in API Gateway", custom errors.
	Error bool

	root expr.Value
	read bool
	err  error
}

// maxText is how long a text that a mapping makes of a value may be, in bytes.
const maxText = 64 << 10

// text returns the whole content, which isn't a value when it is empty.
func (d *Document) text() (string, bool) {
	return unsafe.String(unsafe.SliceData(d.Content), len(d.Content)), len(d.Content) > 0
}

// at returns what path leads to as text: objects and lists as JSON, null as
// nothing.
func (d *Document) at(path *expr.Path) (string, bool, error) {
	if len(d.Content) == 0 {
		return "", false, nil
	}
	if !d.read {
		d.read = true
		d.root, d.err = expr.ParseJSON(d.Content)
		if d.Error && d.err == nil {
			openMessage(d.root)
		}
	}
	if d.err != nil {
		return "", false, ErrNotJSON
	}
	value, err := path.Eval(d.root)
	if err != nil || value.Kind() == expr.NullKind {
		return "", false, nil // AWS: a source that isn't there maps nothing
	}
	var text string
	switch value.Kind() {
	case expr.MapKind, expr.ListKind:
		text, err = value.JSON(maxText)
	default:
		text, err = value.Text(maxText)
	}
	return text, err == nil, err
}

// openMessage replaces an errorMessage that is the text of an object by the object.
func openMessage(root expr.Value) {
	if message, is := errorMessage(root); is {
		if inner, err := expr.ParseJSONString(message); err == nil && inner.Kind() == expr.MapKind {
			root.Map().Set("errorMessage", inner)
		}
	}
}

// ErrorMessage returns the member errorMessage of a function's answer, and false
// if that isn't an error.
func ErrorMessage(answer []byte) (string, bool) {
	if !bytes.Contains(answer, []byte("errorMessage")) {
		return "", false // nearly always; it needn't be read
	}
	root, err := expr.ParseJSON(answer)
	if err != nil {
		return "", false
	}
	return errorMessage(root)
}

func errorMessage(root expr.Value) (string, bool) {
	if root.Kind() != expr.MapKind {
		return "", false
	}
	message, found := root.Map().Get("errorMessage")
	if !found || message.Kind() != expr.StringKind {
		return "", false
	}
	return message.Str(), true
}
