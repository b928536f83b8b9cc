package pattern

import "strings"

// assertion is what matches between characters. Where two kinds of line ends
// matter, the one for "\n" alone follows.
type assertion uint8

const (
	assertStart assertion = iota
	assertEnd
	assertLast // where the last match ended
	assertWord
	assertNoWord
	assertLineStart
	assertLineStartUnix
	assertLineEnd
	assertLineEndUnix
	assertLastLine
	assertLastLineUnix
)

type frameKind uint8

const (
	frameUndo   frameKind = iota // register n had the value at
	frameChoice                  // go on at next, from at
	frameRun                     // give one character back, down to n
	frameLazy                    // take one more character, n times at most; n < 0: any number
	frameBehind                  // begin n characters earlier
)

// frame is something to undo or to try instead.
type frame struct {
	kind frameKind
	next int
	at   int
	n    int
}

// machine runs a program over a text, with a stack of what is still to try.
type machine struct {
	p         *Pattern
	text      string
	steps     *int
	registers []int
	stack     []frame
	whole     bool // a match must reach the end
	end       int  // of the last match
}

func newMachine(p *Pattern, text string, steps *int) *machine {
	return &machine{p: p, text: text, steps: steps, registers: make([]int, p.registers)}
}

// run matches from at. On success registers 0 and 1 hold the bounds.
func (m *machine) run(at int) (bool, error) {
	for i := range m.registers {
		m.registers[i] = -1
	}
	m.stack = m.stack[:0]
	start, pc := at, 0
	for {
		if *m.steps--; *m.steps < 0 || len(m.stack) > maxFrames {
			return false, ErrSteps
		}
		in := &m.p.program[pc]
		ok := true
		switch in.op {
		case opSingle:
			ok = at < len(m.text)
			if ok {
				r, n := decode(m.text[at:])
				if ok = in.single.matches(r); ok {
					at += n
				}
			}
			pc++
		case opRun:
			at, ok = m.repeat(in, pc, at)
			pc++
		case opMatch:
			if ok = !m.whole || at == len(m.text); ok {
				m.registers[0], m.registers[1] = start, at
				return true, nil
			}
		case opJump:
			pc = in.x
		case opSplit:
			m.push(frame{frameChoice, in.next, at, 0})
			pc++
		case opSave:
			m.set(in.x, at)
			pc++
		case opAssert:
			ok = m.holds(in.assert, at)
			pc++
		case opBack:
			at, ok = m.back(in, at)
			pc++
		default:
			pc, at, ok = m.control(in, pc, at)
		}
		if !ok {
			if pc, at, ok = m.retry(); !ok {
				return false, nil
			}
		}
	}
}

func (m *machine) push(f frame) { m.stack = append(m.stack, f) }

// set changes a register so that it can be undone.
func (m *machine) set(register, value int) {
	m.push(frame{frameUndo, 0, m.registers[register], register})
	m.registers[register] = value
}

// control runs the instructions of loops and groups.
func (m *machine) control(in *instruction, pc, at int) (int, int, bool) {
	switch in.op {
	case opZero:
		m.set(in.x, 0)
		m.set(in.y, -1)
	case opLoop:
		count := m.registers[in.x]
		more := in.max < 0 || count < in.max
		switch {
		case count < in.min:
			return pc + 1, at, true
		case !more || m.registers[in.y] == at: // a round that matched nothing is the last
			return in.next, at, true
		case in.mode == lazy:
			m.push(frame{frameChoice, pc + 1, at, 0})
			return in.next, at, true
		}
		m.push(frame{frameChoice, in.next, at, 0})
	case opRound:
		loop := &m.p.program[in.x]
		m.set(loop.x, m.registers[loop.x]+1)
		m.set(loop.y, at)
	case opMark:
		height := len(m.stack)
		m.set(in.x, height)
		m.set(in.y, at)
	case opCut:
		m.cut(m.registers[in.x])
	case opReturn:
		at = m.registers[in.y]
		m.cut(m.registers[in.x])
	case opRefuse:
		height := m.registers[in.x]
		for len(m.stack) > height {
			m.undo()
		}
		return pc, at, false
	case opBehind:
		return m.behind(in, pc, at, in.min)
	case opArrived:
		return pc + 1, at, at == m.registers[in.y]
	}
	return pc + 1, at, true
}

// cut drops what could be tried above height, and keeps what is to be undone.
func (m *machine) cut(height int) {
	kept := m.stack[:height]
	for _, f := range m.stack[height:] {
		if f.kind == frameUndo {
			kept = append(kept, f)
		}
	}
	m.stack = kept
}

// undo takes the last frame off, and back what it says.
func (m *machine) undo() frame {
	f := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	if f.kind == frameUndo {
		m.registers[f.n] = f.at
	}
	return f
}

// retry goes back to the last thing that can be tried another way.
func (m *machine) retry() (pc, at int, ok bool) {
	for len(m.stack) > 0 {
		f := m.undo()
		switch f.kind {
		case frameChoice:
			return f.next, f.at, true
		case frameRun:
			_, n := decodeLast(m.text[:f.at])
			f.at -= n
			if f.at > f.n {
				m.push(f)
			}
			return f.next, f.at, true
		case frameLazy:
			if at, ok := m.lazier(f); ok {
				return f.next, at, true
			}
		case frameBehind:
			if pc, at, ok := m.behind(&m.p.program[f.next], f.next, f.at, f.n); ok {
				return pc, at, true
			}
		}
	}
	return 0, 0, false
}

// repeat matches a quantified single.
func (m *machine) repeat(in *instruction, pc, at int) (int, bool) {
	count := 0
	least := at
	for in.mode != lazy || count < in.min {
		if in.max >= 0 && count == in.max || at == len(m.text) {
			break
		}
		r, n := decode(m.text[at:])
		if !in.single.matches(r) {
			break
		}
		at += n
		count++
		if count == in.min {
			least = at
		}
	}
	*m.steps -= count >> 2
	if count < in.min {
		return at, false
	}
	switch {
	case in.mode == greedy && at > least:
		m.push(frame{frameRun, pc + 1, at, least})
	case in.mode == lazy && in.max != count:
		left := -1
		if in.max >= 0 {
			left = in.max - count
		}
		m.push(frame{frameLazy, pc + 1, at, left})
	}
	return at, true
}

// lazier takes one more character for the lazy single in front of f.next.
func (m *machine) lazier(f frame) (int, bool) {
	if f.at == len(m.text) {
		return 0, false
	}
	r, n := decode(m.text[f.at:])
	if !m.p.program[f.next-1].single.matches(r) {
		return 0, false
	}
	f.at += n
	if f.n != 1 {
		if f.n > 0 {
			f.n--
		}
		m.push(f)
	}
	return f.at, true
}

// behind begins what stands in a look-behind count characters in front of the
// position that the mark has.
func (m *machine) behind(in *instruction, pc, at, count int) (int, int, bool) {
	start := m.registers[in.y]
	for range count {
		if start == 0 {
			return pc, at, false
		}
		_, n := decodeLast(m.text[:start])
		start -= n
	}
	if count < in.max {
		m.push(frame{frameBehind, pc, at, count + 1})
	}
	*m.steps -= count
	return pc + 1, start, true
}

// back matches what a group matched before. What a group didn't take part in
// matches nothing.
func (m *machine) back(in *instruction, at int) (int, bool) {
	if 2*in.x+1 >= 2*m.p.groups || m.registers[2*in.x+1] < 0 || m.registers[2*in.x] < 0 {
		return at, false
	}
	was := m.text[m.registers[2*in.x]:m.registers[2*in.x+1]]
	if len(m.text)-at < len(was) {
		return at, false
	}
	*m.steps -= len(was) >> 2
	is := m.text[at : at+len(was)]
	if is != was && (in.min == 0 || !strings.EqualFold(is, was)) {
		return at, false
	}
	return at + len(was), true
}

func (m *machine) holds(a assertion, at int) bool {
	s := m.text
	switch a {
	case assertStart:
		return at == 0
	case assertEnd:
		return at == len(s)
	case assertLast:
		return at == m.end
	case assertWord:
		return m.word(at) != m.wordBefore(at)
	case assertNoWord:
		return m.word(at) == m.wordBefore(at)
	case assertLineStart, assertLineStartUnix:
		if at == len(s) {
			return false // Java: not behind the last line's end, nor in an empty text
		}
		if at == 0 {
			return true
		}
		r, _ := decodeLast(s[:at])
		return r == '\n' || a == assertLineStart && lineEnd(r) && (r != '\r' || s[at] != '\n')
	case assertLineEnd, assertLineEndUnix:
		if at == len(s) {
			return true
		}
		return m.lineEnds(at, a == assertLineEndUnix)
	}
	if at == len(s) {
		return true
	}
	_, n := decode(s[at:])
	if strings.HasPrefix(s[at:], "\r\n") {
		n = 2
	}
	return at+n == len(s) && m.lineEnds(at, a == assertLastLineUnix)
}

// lineEnds reports whether a line's end stands at at, not in the middle of two
// characters that are one.
func (m *machine) lineEnds(at int, unix bool) bool {
	r, _ := decode(m.text[at:])
	if unix {
		return r == '\n'
	}
	return lineEnd(r) && (r != '\n' || at == 0 || m.text[at-1] != '\r')
}

func (m *machine) word(at int) bool {
	if at == len(m.text) {
		return false
	}
	r, _ := decode(m.text[at:])
	return wordRune(r)
}

func (m *machine) wordBefore(at int) bool {
	if at == 0 {
		return false
	}
	r, _ := decodeLast(m.text[:at])
	return wordRune(r)
}
