package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hide notes in src what must not be shown of the values below p, of which n and f
// tell what they may be; f is nil for the whole configuration. Findings show lines
// of the file, and end in logs.
func (src *source) hide(n *node, f *field, p *place) {
	switch {
	case p == nil:
	case f != nil && f.secret:
		src.hideAll(p)
	case n.kind == tableKind:
		for _, k := range p.kids {
			if p.form == headers || p.form == array { // a table where a list of some is meant, or the other way round
				src.hide(n, f, k)
			} else if of := n.field(k.name); of != nil {
				src.hide(of.node, of, k)
			} else {
				src.hideUnknown(n, k)
			}
		}
	case n.elem != nil:
		for _, k := range p.kids {
			src.hide(n.elem, nil, k)
		}
	}
}

// hideUnknown hides what p, a key that n hasn't, may have of secrets.
func (src *source) hideUnknown(n *node, p *place) {
	if n.looksSecret(p.name) {
		src.hideAll(p)
		return
	}
	for _, k := range p.kids {
		src.hideUnknown(n, k)
	}
}

// hideAll hides the values of p and of all that stands below it.
func (src *source) hideAll(p *place) {
	if p.form == scalar && p.src == src {
		src.hidden = append(src.hidden, p.value)
	}
	for _, k := range p.kids {
		src.hideAll(k)
	}
}

// looksSecret reports whether a key that there is none of is likely to be a secret:
// by its name, or because it is a slip of the pen for one.
func (n *node) looksSecret(key string) bool {
	lower := strings.ToLower(key)
	for _, word := range []string{"secret", "password", "passwd", "token", "credential"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	meant := closest(key, n.keys("", ""))
	f := n.field(meant)
	return f != nil && f.secret
}

// masked returns the part of src at sp with stars for what must not be shown, as many
// as there were characters, so that columns stay what they are.
func (src *source) masked(sp span) string {
	text := src.text[sp.start:sp.end]
	// From the right, for stars may take less room than what they stand for.
	for _, h := range slices.SortedFunc(slices.Values(src.hidden), func(a, b span) int { return b.start - a.start }) {
		from, to := max(h.start, sp.start)-sp.start, min(h.end, sp.end)-sp.start
		if from < to && h.start < sp.end && h.end > sp.start {
			text = text[:from] + stars(text[from:to]) + text[to:]
		}
	}
	if strings.Contains(text, "@") {
		text = regexp.MustCompile(`(://[^/\s"'@:]*:)([^/\s"'@]+)@`).ReplaceAllStringFunc(text, func(s string) string {
			i := strings.LastIndexByte(s, ':') + 1
			return s[:i] + stars(s[i:len(s)-1]) + "@"
		})
	}
	return text
}

// stars hides s but for its quotes and for references such as ${env:NAME}, which
// aren't the secret themselves. Its number of characters stays as it is.
func stars(s string) string {
	quotes := len(s) - len(strings.TrimLeft(s, `"'`))
	if 2*quotes >= len(s) {
		quotes = 0
	}
	b, at := []byte(s[:quotes]), quotes
	for _, reference := range regexp.MustCompile(`\$\{(?:env|file):[^}]*\}`).FindAllStringIndex(s, -1) {
		b = append(appendStars(b, s[at:reference[0]]), s[reference[0]:reference[1]]...)
		at = reference[1]
	}
	return string(append(appendStars(b, s[at:len(s)-quotes]), s[len(s)-quotes:]...))
}

func appendStars(b []byte, s string) []byte {
	for range utf8.RuneCountInString(s) {
		b = append(b, '*')
	}
	return b
}

// hides reports whether p's value must not be shown.
func (p *place) hides() bool {
	if p == nil {
		return false
	}
	for _, h := range p.src.hidden {
		if h.start <= p.value.start && p.value.end <= h.end {
			return true
		}
	}
	return false
}

// leastLearned is the length in bytes from which on a value can be a secret. What is
// shorter is a port or a word, and may stand in messages for reasons of its own.
const leastLearned = 6

// learn remembers what an expression such as ${env:NAME} stands for.
func (o *origin) learn(value, expression string) {
	if len(value) < leastLearned {
		return
	}
	if o.learned == nil {
		o.learned = map[string]string{}
	}
	o.learned[value] = expression
}

// unlearned returns text with expressions in the place of what they stand for.
func (o *origin) unlearned(text string) string {
	if len(o.learned) == 0 || text == "" {
		return text
	}
	// The longest first: one may be a part of another.
	for _, value := range slices.SortedFunc(maps.Keys(o.learned), func(a, b string) int { return len(b) - len(a) }) {
		text = strings.ReplaceAll(text, value, o.learned[value])
		if quoted := strconv.Quote(value); len(quoted) > len(value)+2 { // as messages show it
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], o.learned[value])
		}
	}
	return text
}
