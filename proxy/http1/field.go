package http1

// Field is one header field or trailer field, in the spelling that arrived.
//
// The strings of a parsed Field are views of the connection's read buffer: they
// are valid until the message that they belong to is done. Whoever keeps one
// longer clones it (strings.Clone).
type Field struct {
	Name  string
	Value string

	known Known // worked out by the parser or by NewField; zero means not yet
}

// NewField returns a field whose well-known number is already worked out, so
// that forwarding it costs no comparison of names.
func NewField(name, value string) Field {
	return Field{Name: name, Value: value, known: KnownName(name)}
}

// Known returns the number of f's name, or Other if the name is not one of the
// names that this package numbers. RFC 9110, 5.1: names ignore case.
func (f *Field) Known() Known {
	if f.known == unset {
		return KnownName(f.Name)
	}
	return f.known
}

// Fields are header fields in the order in which they arrived or will be sent.
// The zero value is empty and ready to use. Not safe for concurrent writing.
type Fields []Field

// longer returns fs with one more field at its end, to be filled in place: what
// append does, without a copy of a field that was written just before, for which
// the processor has to wait.
func (fs Fields) longer() Fields {
	if len(fs) < cap(fs) {
		return fs[:len(fs)+1]
	}
	return append(fs, Field{})
}

// AppendKnown appends a field to fs: the one with number k, which is not Other,
// in the usual spelling of its name.
func AppendKnown(fs Fields, k Known, value string) Fields {
	fs = fs.longer()
	f := &fs[len(fs)-1]
	f.Name, f.Value, f.known = knownNames[k], value, k
	return fs
}

// AppendCopy appends *f to fs; f may be one of fs.
func AppendCopy(fs Fields, f *Field) Fields {
	fs = fs.longer()
	to := &fs[len(fs)-1]
	to.Name, to.Value, to.known = f.Name, f.Value, f.known
	return fs
}

// Get returns the value of the first field called name, without regard to
// case, and "" when there is none.
func (fs Fields) Get(name string) string {
	value, _ := fs.Lookup(name)
	return value
}

// Lookup is Get that also reports whether there was such a field.
func (fs Fields) Lookup(name string) (value string, found bool) {
	for i := range fs {
		if equalFold(fs[i].Name, name) {
			return fs[i].Value, true
		}
	}
	return "", false
}

// GetKnown returns the value of the first field with number k, and "" when
// there is none.
func (fs Fields) GetKnown(k Known) string {
	for i := range fs {
		if fs[i].Known() == k {
			return fs[i].Value
		}
	}
	return ""
}

// HasKnown reports whether there is a field with number k.
func (fs Fields) HasKnown(k Known) bool {
	for i := range fs {
		if fs[i].Known() == k {
			return true
		}
	}
	return false
}

// Add appends a field.
func (fs *Fields) Add(name, value string) {
	*fs = append(*fs, NewField(name, value))
}

// Set replaces every field called name, without regard to case, by one, which
// takes the place of the first of them or goes to the end.
func (fs *Fields) Set(name, value string) {
	kept := (*fs)[:0]
	placed := false
	for _, f := range *fs {
		if !equalFold(f.Name, name) {
			kept = append(kept, f)
			continue
		}
		if !placed {
			placed = true
			kept = append(kept, NewField(name, value))
		}
	}
	if !placed {
		kept = append(kept, NewField(name, value))
	}
	*fs = kept
}

// Del removes every field called name, without regard to case.
func (fs *Fields) Del(name string) {
	kept := (*fs)[:0]
	for _, f := range *fs {
		if !equalFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	*fs = kept
}
