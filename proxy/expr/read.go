package expr

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// maxDigits bounds a number's text: reading one takes time by the square of it.
const maxDigits = 1000

// endOfText is what the reader sees behind the text, and takes in the text for
// its end.
const endOfText = 0x1A

// reader reads JSON as leniently as AWS does: names and strings may be in single
// quotes or in none, commas may be too many, and what stands behind the value
// isn't looked at. What is no JSON at all is a string.
type reader struct {
	text string
	at   int
	c    byte // the byte at at, endOfText behind the text

	// What the arrays and objects that are open hold so far.
	items   []Value
	entries []entry

	// Memory for lists and maps, taken in pieces.
	lists []List
	maps  []Map
	freeI []Value
	freeE []entry
}

var errSyntax = errors.New("not even lenient JSON")

// ParseJSON reads a JSON text in the way AWS reads bodies. The values are views of
// text, which must not change. An empty text is an empty string. The error names
// the byte where reading had to end.
func ParseJSON(text []byte) (Value, error) { return ParseJSONString(Decode(text)) }

// ParseJSONString is ParseJSON for a string.
func ParseJSONString(text string) (Value, error) {
	var entries [16]entry // enough for most texts, and no garbage
	var items [16]Value
	r := reader{text: text, at: -1, entries: entries[:0], items: items[:0]}
	r.next()
	v, err := r.first()
	if err != nil {
		return Value{}, fmt.Errorf("byte %d: %w", r.at, err)
	}
	return v, nil
}

func (r *reader) next() {
	r.at++
	if r.at < len(r.text) {
		r.c = r.text[r.at]
		return
	}
	r.at = len(r.text)
	r.c = endOfText
}

func (r *reader) seek(at int) {
	r.at = at - 1
	r.next()
}

// stops are the bytes that end a value without quotes, by what it stands in.
type stops string

const (
	stopNever stops = "\x1a"
	stopItem  stops = ",]\x1a"
	stopValue stops = ",}\x1a"
	stopName  stops = ":\x1a"
)

func (r *reader) ends(s stops) bool { return strings.IndexByte(string(s), r.c) >= 0 }

func (r *reader) first() (Value, error) {
	r.skipBlanks()
	return r.value(stopNever, 0)
}

// skipBlanks skips what JSON calls white space.
func (r *reader) skipBlanks() {
	for r.c == ' ' || r.c == '\n' || r.c == '\t' || r.c == '\r' {
		r.next()
	}
}

// skipControls skips blanks and control characters.
func (r *reader) skipControls() {
	for r.c <= ' ' && r.c != endOfText {
		r.next()
	}
}

func (r *reader) value(s stops, depth int) (Value, error) {
	switch c := r.c; c {
	case ':', '}', ']':
		return Value{}, errSyntax
	case '{', '[':
		if depth == MaxDepth {
			return Value{}, ErrTooDeep
		}
		if c == '{' {
			return r.object(depth + 1)
		}
		return r.array(depth + 1)
	case '"', '\'':
		text, err := r.quoted()
		return String(text), err
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return r.number(s)
	case endOfText:
		if s != stopNever {
			return Value{}, errSyntax
		}
	}
	switch text := r.unquoted(s); text {
	case "null":
		return Value{}, nil
	case "true":
		return Bool(true), nil
	case "false":
		return Bool(false), nil
	case "NaN":
		return Float(float32(nan())), nil
	default:
		return String(text), nil
	}
}

func nan() float64 { f, _ := strconv.ParseFloat("nan", 64); return f }

// unquoted reads up to a stop, without the white space around it.
func (r *reader) unquoted(s stops) string {
	start := r.at
	for !r.ends(s) {
		r.next()
	}
	return r.since(start)
}

func (r *reader) since(start int) string {
	return strings.TrimFunc(r.text[start:r.at], func(c rune) bool { return c <= ' ' && (c >= 28 || c >= 9 && c <= 13) })
}

func (r *reader) array(depth int) (Value, error) {
	start := len(r.items)
	r.next()
	for {
		r.skipBlanks()
		switch r.c {
		case ']':
			r.next()
			l := r.list()
			l.json = true
			l.items = r.takeItems(start)
			return OfList(l), nil
		case ':', '}', endOfText:
			return Value{}, errSyntax
		case ',':
			r.next()
			continue
		}
		v, err := r.value(stopItem, depth)
		if err != nil {
			return Value{}, err
		}
		r.items = append(r.items, v)
	}
}

func (r *reader) object(depth int) (Value, error) {
	start := len(r.entries)
	var index map[indexKey]int32
	more := true // in front of the first member or behind a comma
	for {
		r.next()
		r.skipBlanks()
		switch r.c {
		case '}':
			return r.closeObject(start, index), nil
		case ',':
			more = true
			continue
		case ':', '[', ']', '{', endOfText:
			return Value{}, errSyntax
		}
		if !more {
			return Value{}, errSyntax
		}
		name, err := r.name()
		if err != nil {
			return Value{}, err
		}
		r.skipBlanks()
		v, err := r.value(stopValue, depth)
		if err != nil {
			return Value{}, err
		}
		index = r.put(start, index, entry{String(name), v})
		r.skipControls()
		switch r.c {
		case '}':
			return r.closeObject(start, index), nil
		case ',':
			more = true
		default:
			return Value{}, errSyntax
		}
	}
}

// name reads a member's name and its colon.
func (r *reader) name() (string, error) {
	name := ""
	if r.c == '"' || r.c == '\'' {
		text, err := r.quoted()
		if err != nil {
			return "", err
		}
		name = text
	} else {
		name = r.unquoted(stopName)
	}
	r.skipControls()
	if r.c != ':' {
		return "", errSyntax
	}
	r.next()
	return name, nil
}

// put adds a member to those from start on. A name that was there keeps its place
// and gets the new value.
func (r *reader) put(start int, index map[indexKey]int32, e entry) map[indexKey]int32 {
	members := r.entries[start:]
	if len(members) <= indexFrom {
		for i := range members {
			if members[i].key.num == e.key.num && members[i].key.Str() == e.key.Str() {
				members[i].value = e.value
				return nil
			}
		}
		r.entries = append(r.entries, e)
		return nil
	}
	if index == nil {
		index = map[indexKey]int32{}
		for i := range members {
			index[indexKey{text: members[i].key.Str(), kind: StringKind}] = int32(i)
		}
	}
	k := indexKey{text: e.key.Str(), kind: StringKind}
	if i, found := index[k]; found {
		members[i].value = e.value
		return index
	}
	index[k] = int32(len(members))
	r.entries = append(r.entries, e)
	return index
}

func (r *reader) closeObject(start int, index map[indexKey]int32) Value {
	r.next()
	if len(r.maps) == 0 {
		r.maps = make([]Map, r.room())
	}
	m := &r.maps[0]
	r.maps = r.maps[1:]
	n := len(r.entries) - start
	if n > len(r.freeE) {
		r.freeE = make([]entry, max(n, 3*r.room()))
	}
	m.entries = r.freeE[:n:n]
	r.freeE = r.freeE[n:]
	copy(m.entries, r.entries[start:])
	m.index = index
	r.entries = r.entries[:start]
	return OfMap(m)
}

// room guesses how many more objects or arrays the rest of the text has.
func (r *reader) room() int { return min(1+(len(r.text)-r.at)/64, 64) }

func (r *reader) list() *List {
	if len(r.lists) == 0 {
		r.lists = make([]List, r.room())
	}
	l := &r.lists[0]
	r.lists = r.lists[1:]
	return l
}

func (r *reader) takeItems(start int) []Value {
	n := len(r.items) - start
	if n > len(r.freeI) {
		r.freeI = make([]Value, max(n, 2*r.room()))
	}
	items := r.freeI[:n:n]
	r.freeI = r.freeI[n:]
	copy(items, r.items[start:])
	r.items = r.items[:start]
	return items
}

// quoted reads a string in quotes. One without escapes is a view of the text.
func (r *reader) quoted() (string, error) {
	quote, start := r.c, r.at+1
	end := strings.IndexByte(r.text[start:], quote)
	if end < 0 {
		return "", errSyntax
	}
	text := r.text[start : start+end]
	escape := strings.IndexByte(text, '\\')
	if escape < 0 {
		r.seek(start + end + 1)
		return text, nil
	}
	return r.escaped(quote, start+escape, appendUncontrolled(make([]byte, 0, len(text)+16), text[:escape]))
}

// appendUncontrolled appends s without control characters. That they are dropped
// from a string with escapes, but not from one without, is how it is.
func appendUncontrolled(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] >= ' ' && s[i] != 0x7F {
			dst = append(dst, s[i])
		}
	}
	return dst
}

// escaped reads the rest of a string from at on.
func (r *reader) escaped(quote byte, at int, dst []byte) (string, error) {
	halves := false
	for r.seek(at); ; r.next() {
		switch c := r.c; {
		case c == endOfText:
			return "", errSyntax
		case c == quote:
			r.next()
			if halves {
				return Join(view(dst)), nil
			}
			return view(dst), nil
		case c < ' ' || c == 0x7F:
		case c != '\\':
			dst = append(dst, c)
		default:
			r.next()
			switch r.c {
			case '\\', '/', '\'', '"':
				dst = append(dst, r.c)
			case 't':
				dst = append(dst, '\t')
			case 'n':
				dst = append(dst, '\n')
			case 'r':
				dst = append(dst, '\r')
			case 'f':
				dst = append(dst, '\f')
			case 'b':
				dst = append(dst, '\b')
			case 'u', 'x':
				digits := 4
				if r.c == 'x' {
					digits = 2
				}
				u, ok := r.hex(digits)
				if !ok {
					return "", errSyntax
				}
				halves = halves || u >= 0xD800 && u < 0xE000
				dst = AppendUnit(dst, u)
			case endOfText:
				return "", errSyntax
			}
		}
	}
}

func (r *reader) hex(digits int) (uint16, bool) {
	if r.at+digits >= len(r.text) {
		return 0, false
	}
	n, ok := uint16(0), true
	for range digits {
		r.next()
		switch c := r.c; {
		case c >= '0' && c <= '9':
			n = n<<4 | uint16(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint16(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | uint16(c-'A'+10)
		default:
			ok = false
		}
	}
	return n, ok
}

func (r *reader) digits() {
	for r.c >= '0' && r.c <= '9' {
		r.next()
	}
}

// number reads a number, or a string that begins like one.
func (r *reader) number(s stops) (Value, error) {
	start := r.at
	r.next()
	r.digits()
	whole := r.c != '.' && r.c != 'e' && r.c != 'E'
	if r.c == '.' {
		r.next()
		r.digits()
	}
	if !whole && (r.c == 'e' || r.c == 'E') {
		r.next()
		if r.c != '+' && r.c != '-' && (r.c < '0' || r.c > '9') {
			return String(r.rest(start, s)), nil
		}
		r.next()
		r.digits()
	}
	end := r.at
	r.skipControls()
	if !r.ends(s) {
		return String(r.rest(start, s)), nil
	}
	v, ok := parseNumber(r.text[start:end], whole)
	if !ok {
		return Value{}, errSyntax
	}
	return v, nil
}

// rest reads on up to a stop and returns all from start.
func (r *reader) rest(start int, s stops) string {
	for !r.ends(s) {
		r.next()
	}
	return r.since(start)
}

// parseNumber returns an int, a long or a big integer if whole; else a double, or
// a big decimal if the text is long.
func parseNumber(text string, whole bool) (Value, bool) {
	if len(text) > maxDigits {
		return Value{}, false
	}
	if !whole {
		if len(text) > 18 {
			d, ok := parseDecimal(text)
			if !ok {
				return Value{}, false
			}
			return OfDecimal(d), true
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return Value{}, false
		}
		return Double(f), true
	}
	if text == "-" {
		return Int(0), true
	}
	limit := 19
	if text[0] == '-' {
		limit = 20
	}
	if len(text) <= limit {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Fit(n), true
		}
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return Value{}, false
	}
	return BigInt(n), true
}

// readNumber reads a number as a literal has it, and nothing else.
func readNumber(text string) (Value, bool) {
	r := reader{text: text, at: -1}
	r.next()
	if r.c != '-' && (r.c < '0' || r.c > '9') {
		return Value{}, false
	}
	v, err := r.number(stopNever)
	return v, err == nil && v.IsNumber()
}
