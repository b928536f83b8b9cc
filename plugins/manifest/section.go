package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Section is the name of the custom section that holds a manifest.
const Section = "postern.manifest"

// header begins every core module. WebAssembly Core 2.0, 5.5.16.
var header = [8]byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// errModule is a module whose sections can't be told apart.
var errModule = errors.New("the module's sections are broken")

// customSection is the id of sections that have a name and change nothing.
const customSection = 0

// section is one section of a module.
type section struct {
	whole   []byte // with id and size
	name    string // of a custom section
	content []byte // of a custom section, after the name
}

// next cuts the first section off rest.
func next(rest []byte) (s section, after []byte, err error) {
	size, n := binary.Uvarint(rest[1:])
	if n <= 0 || n > 5 || size > uint64(len(rest)-1-n) {
		return s, nil, errModule
	}
	end := 1 + n + int(size)
	s.whole = rest[:end]
	if rest[0] == customSection {
		body := rest[1+n : end]
		length, m := binary.Uvarint(body)
		if m <= 0 || m > 5 || length > uint64(len(body)-m) {
			return s, nil, errModule
		}
		s.name, s.content = string(body[m:m+int(length)]), body[m+int(length):]
	}
	return s, rest[end:], nil
}

// find returns the content of the manifest's section, nil for none, and the
// module without it.
func find(wasm []byte) (content, without []byte, err error) {
	if !bytes.HasPrefix(wasm, header[:]) {
		return nil, nil, errors.New("not a WebAssembly module")
	}
	without = append(without, header[:]...)
	for rest := wasm[len(header):]; len(rest) > 0; {
		var s section
		if s, rest, err = next(rest); err != nil {
			return nil, nil, err
		}
		if s.name != Section {
			without = append(without, s.whole...)
			continue
		}
		if content != nil {
			return nil, nil, errors.New("the module has two sections " + Section)
		}
		content = s.content
		if content == nil {
			content = []byte{}
		}
	}
	return content, without, nil
}

// Add returns wasm with text as its manifest, in the place of one that it has.
// Nothing is checked but that wasm has sections.
func Add(wasm, text []byte) ([]byte, error) {
	_, without, err := find(wasm)
	if err != nil {
		return nil, err
	}
	body := binary.AppendUvarint(nil, uint64(len(Section)))
	body = append(append(body, Section...), text...)
	out := binary.AppendUvarint(append(without, customSection), uint64(len(body)))
	return append(out, body...), nil
}
