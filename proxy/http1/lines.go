package http1

// lines remembers the field lines of a head to recognize them in the next one, where
// nearly all of them stand again if it comes from the same server: comparing a line costs
// a fifth of parsing it. What is parsed never depends on it, as a line has the same
// meaning wherever it stands: FuzzResponse holds the two against each other, and
// BenchmarkResponse compares them.
//
// The zero value remembers nothing; nil is for heads that aren't worth it.
type lines struct {
	text []byte // the lines with their ends
	all  []line
	next int  // of all: which one the parser comes to
	hits int  // how many of the head's lines stood there last time
	same bool // all of them, and no others

	// What control made of them, if told is true.
	told           bool
	minor          int
	framing        Framing
	found, persist bool
}

// line is one of them. Numbers count bytes from its start, but for start.
type line struct {
	start, size       int // with its end
	name, value, stop int // where the name ends, and the value begins and ends
	known             Known
}

// mostLines is how many bytes of lines are remembered.
const mostLines = 4 << 10

// begin is called before the first line of a head.
func (l *lines) begin() {
	if l != nil {
		l.next, l.hits = 0, 0
	}
}

// take returns the line at the start of b if it is the one that stood here last time,
// else nil.
func (l *lines) take(b []byte) *line {
	if l == nil || l.next >= len(l.all) {
		return nil
	}
	m := &l.all[l.next]
	l.next++
	if len(b) < m.size || string(b[:m.size]) != string(l.text[m.start:m.start+m.size]) {
		return nil
	}
	l.hits++
	return m
}

// end is called after the last line of a head whose lines are b, with the empty one, and
// whose fields are fs, which are views of b.
func (l *lines) end(fs Fields, b []byte) {
	if l == nil {
		return
	}
	if l.same = l.hits > 0 && l.hits == len(fs) && len(fs) == len(l.all); l.same {
		return
	}
	l.told, l.all = false, l.all[:0]
	if b = b[:len(b)-2]; len(b) > mostLines {
		return
	}
	l.text = append(l.text[:0], b...)
	at := 0
	for i := range fs {
		f := &fs[i]
		m := line{start: at, name: len(f.Name), known: f.known}
		// White space around a value isn't part of it.
		for m.value = m.name + 1; isBlank(b[at+m.value]); m.value++ {
		}
		m.stop = m.value + len(f.Value)
		for m.size = m.stop; b[at+m.size] != '\n'; m.size++ {
		}
		m.size++
		at += m.size
		l.all = append(l.all, m)
	}
}

// tell notes what the lines say about the message and its connection.
func (l *lines) tell(minor int, f Framing, found bool, c *control) {
	l.told = c.protocol == ""
	l.minor, l.framing, l.found, l.persist = minor, f, found, c.persists(minor)
}
