package mapping

import (
	"unsafe"

	"github.com/postern-gateway/postern/proxy/expr"
)

// Document is the content of a message for mappings that look into it. It is
// read as JSON once, when the first asks. The zero value is empty content.
type Document struct {
	Content []byte

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
