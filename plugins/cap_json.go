package plugins

import (
	"bytes"
	"errors"

	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/sdk/abi"
)

// jsonFunctions read and change JSON documents, which the host keeps parsed.
func jsonFunctions() hostModule {
	return native(abi.ModuleJSON, "json", map[string]hostCall{
		"open":  (*instance).openDocument,
		"parse": func(in *instance, s []uint64) { answer(s, in.parseDocument(bytes.Clone(in.view(s[0], s[1])))) },
		"kind": func(in *instance, s []uint64) {
			in.atPath(s, func(d *document.Document, n document.Node) int32 { return int32(d.Kind(n)) })
		},
		"count": func(in *instance, s []uint64) { in.atPath(s, countAt) },
		"get":   (*instance).getJSON,
		"name":  (*instance).nameJSON,
		"set": func(in *instance, s []uint64) {
			value := in.view(s[3], s[4])
			in.changeJSON(s, len(value), func(d *document.Document, path string) error {
				return d.Set(path, bytes.Clone(value))
			})
		},
		"delete": func(in *instance, s []uint64) {
			in.changeJSON(s, 0, (*document.Document).Delete)
		},
		"write":      (*instance).writeJSON,
		"write_body": (*instance).writeJSONBody,
	})
}

// workPerByte is what a byte of JSON costs to parse or write, in nanoseconds.
const workPerByte = 40

func (in *instance) openDocument(s []uint64) {
	n := int32(s[0])
	if n == abi.DocumentEvent {
		if in.phase&(abi.Response|abi.MapResponse) != 0 {
			answer(s, abi.WrongPhase)
			return
		}
		answer(s, in.parseDocument(event.AppendRequest(nil, in.ex)))
		return
	}
	code := in.refusedAccess(abi.BodyAccess(n))
	if code == abi.OK {
		code = in.parseDocument(in.contentOf(side(n)))
	}
	answer(s, code)
}

// parseDocument files the document in text, which stays as it is.
func (in *instance) parseDocument(text []byte) int32 {
	if len(text) > abi.MaxBody || !in.charge(len(text)*workPerByte) {
		return abi.Limit
	}
	d, err := document.Parse(text)
	switch {
	case errors.Is(err, document.ErrLimit):
		return abi.Limit
	case err != nil:
		return abi.BadArgument
	}
	return number(&in.held().documents, d)
}

// document returns the document with the number n for an access whose work is
// bounded by its size.
func (in *instance) document(n uint64) (*document.Document, int32) {
	d, ok := numbered(in.held().documents, n)
	switch {
	case !ok:
		return nil, abi.BadArgument
	case !in.charge(1000):
		return nil, abi.Limit
	}
	return d, abi.OK
}

// codeOf is the code for an error of package document.
func codeOf(err error) int32 {
	switch {
	case err == nil:
		return abi.OK
	case errors.Is(err, document.ErrMissing):
		return abi.NotFound
	case errors.Is(err, document.ErrLimit):
		return abi.Limit
	}
	return abi.BadArgument
}

// atPath answers with what look says of the value at the path in s[1:3] of the
// document s[0].
func (in *instance) atPath(s []uint64, look func(d *document.Document, n document.Node) int32) {
	d, code := in.document(s[0])
	if code == abi.OK {
		n, err := d.Find(in.text(s[1], s[2]))
		if code = codeOf(err); code == abi.OK {
			code = look(d, n)
		}
	}
	answer(s, code)
}

func countAt(d *document.Document, n document.Node) int32 {
	if k := d.Kind(n); k != document.Array && k != document.Object {
		return abi.BadArgument
	}
	return int32(d.Count(n))
}

func (in *instance) getJSON(s []uint64) {
	at, size := s[3], s[4]
	in.atPath(s, func(d *document.Document, n document.Node) int32 {
		if k := d.Kind(n); k != document.Array && k != document.Object {
			return in.put(at, size, d.Text(n))
		}
		return in.putJSON(d, n, at, size)
	})
}

func (in *instance) nameJSON(s []uint64) {
	index, at, size := s[3], s[4], s[5]
	in.atPath(s, func(d *document.Document, n document.Node) int32 {
		switch {
		case d.Kind(n) != document.Object:
			return abi.BadArgument
		case index >= uint64(d.Count(n)):
			return abi.NotFound
		}
		return in.put(at, size, d.Name(d.At(n, int(index))))
	})
}

// putJSON writes the value n to the guest's buffer, if it fits.
func (in *instance) putJSON(d *document.Document, n document.Node, at, size uint64) int32 {
	text, code := in.renderJSON(d, n)
	if code != abi.OK {
		return code
	}
	return in.putBytes(at, size, text)
}

// renderJSON returns the value n as JSON, until the next call of its kind.
func (in *instance) renderJSON(d *document.Document, n document.Node) ([]byte, int32) {
	h := in.held()
	h.scratch = d.Append(h.scratch[:0], n)
	if !in.charge(len(h.scratch) * workPerByte) {
		return nil, abi.Limit
	}
	return h.scratch, abi.OK
}

// changeJSON changes the document s[0] at the path in s[1:3].
func (in *instance) changeJSON(s []uint64, size int, change func(d *document.Document, path string) error) {
	d, code := in.document(s[0])
	if code == abi.OK && !in.charge(size*workPerByte) {
		code = abi.Limit
	}
	if code == abi.OK {
		code = codeOf(change(d, in.text(s[1], s[2])))
	}
	answer(s, code)
}

func (in *instance) writeJSON(s []uint64) {
	d, code := in.document(s[0])
	if code == abi.OK {
		code = in.putJSON(d, d.Root(), s[1], s[2])
	}
	answer(s, code)
}

func (in *instance) writeJSONBody(s []uint64) {
	d, code := in.document(s[0])
	body := int32(s[1])
	if code == abi.OK {
		readable, writable := abi.BodyAccess(body)
		code = in.refusedAccess(writable, readable)
	}
	var text []byte
	if code == abi.OK {
		text, code = in.renderJSON(d, d.Root())
	}
	if code == abi.OK {
		in.resetContent(side(body))
		code = in.writeContent(side(body), text)
	}
	answer(s, code)
}
