package config

import (
	"strconv"
	"strings"
)

// place says where one key and its value stand. The places of a file form the
// same tree as its values, in the order of the file.
type place struct {
	src   *source
	name  string // of the key; "" for elements of an array
	key   span   // the key as written, quotes included; an element's value
	value span   // the value; a table's [header]; the key when only implied
	form  form
	kids  []*place
	index map[string]*place // of kids, once there are many
}

// form is how a place was written.
type form uint8

const (
	implied form = iota // as part of a longer key or header
	header              // [x]
	headers             // [[x]]: an array of tables
	inline              // { … }
	array               // [ … ]
	scalar
)

// indexFrom is the number of kids from which on a map finds them.
const indexFrom = 12

// kid returns the place of the entry name, or of the element with that number,
// or nil.
func (p *place) kid(name string) *place {
	if p == nil {
		return nil
	}
	if p.form == array || p.form == headers {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(p.kids) {
			return nil
		}
		return p.kids[i]
	}
	if p.index != nil {
		return p.index[name]
	}
	for _, k := range p.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (p *place) add(k *place) {
	p.kids = append(p.kids, k)
	if p.form == array || p.form == headers {
		return
	}
	if p.index == nil && len(p.kids) >= indexFrom {
		p.index = make(map[string]*place, 2*len(p.kids))
		for _, k := range p.kids {
			p.index[k.name] = k
		}
	}
	if p.index != nil {
		p.index[k.name] = k
	}
}

// span returns what to point at for the value: a scalar or an array itself, the
// key of an inline table in an assignment, the header of a table.
func (p *place) span() span {
	if p.form == implied {
		return p.key
	}
	return p.value
}

// within returns the part of p's value that is written as text, or the whole
// value when text isn't written there as it stands.
func (p *place) within(text string) span {
	sp := p.span()
	if i := strings.Index(p.src.text[sp.start:sp.end], text); i >= 0 && text != "" {
		return span{sp.start + i, sp.start + i + len(text)}
	}
	return sp
}

// String returns file:line.
func (p *place) String() string {
	return p.src.name + ":" + strconv.Itoa(p.src.line(p.key.start))
}

// keyPath writes a path as TOML would: api.pets.route."GET /pets", include[0].
func keyPath(path []string, at *place) string {
	var b strings.Builder
	for _, part := range path {
		if at != nil && (at.form == array || at.form == headers) {
			b.WriteString("[" + part + "]")
		} else {
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(quotedKey(part))
		}
		at = at.kid(part)
	}
	return b.String()
}

// quotedKey returns a key as TOML writes it.
func quotedKey(key string) string {
	for i := range len(key) {
		if !isBare(key[i]) {
			return strconv.Quote(key)
		}
	}
	if key == "" {
		return `""`
	}
	return key
}
