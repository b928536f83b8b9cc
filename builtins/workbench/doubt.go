package workbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
)

// doubt is a warning about a body that was meant to be JSON, it seems, and isn't:
// then the engine takes what it can of it.
func (in *Input) doubt() *Mistake {
	begin := bytes.TrimLeft(in.Body, " \t\r\n")
	if len(begin) == 0 || begin[0] != '{' && begin[0] != '[' {
		return nil
	}
	var whole json.RawMessage
	err := json.Unmarshal(in.Body, &whole)
	if err == nil {
		return nil
	}
	f := &file{"body", in.Body}
	m := f.syntax(err, 0, len(in.Body))
	m.Severity = config.SeverityWarning
	return m
}

// directives are the words behind # that mean something in both profiles.
var directives = []string{"if", "elseif", "else", "end", "set", "foreach", "break", "stop", "define", "literal", "macro"}

// doubts are warnings about what looks like a directive and is printed as it
// stands, for that is no error in VTL.
func (f *file) doubts(profile string) []string {
	var all []string
	macros := f.macros(profile)
	for at := 0; at < len(f.text); {
		word, after := f.directive(&at)
		if word == "" {
			continue
		}
		hint := ""
		switch known := slices.Contains(directives, word) || slices.Contains(macros, word); {
		case profile != VelocityProfile && word == "macro":
			hint = "AWS knows no macros of one's own: use #define, or repeat the text"
		case known:
			continue
		case slices.Contains([]string{"evaluate", "parse", "include"}, word):
			if profile == VelocityProfile {
				continue
			}
			hint = "AWS doesn't know it"
		case slices.Contains(directives, strings.ToLower(word)):
			hint = "directives are in small letters: #" + strings.ToLower(word)
		case strings.HasPrefix(word, "end") || strings.HasPrefix(word, "else"):
			name := "else"
			if strings.HasPrefix(word, "end") {
				name = "end"
			}
			hint = fmt.Sprintf("to have text right behind #%s write #{%s}%s", name, name, word[len(name):])
		case after != '(':
			continue // a colour, a fragment of a URL
		default:
			if like := config.Closest(word, directives); like != "" {
				hint = fmt.Sprintf("did you mean #%s?", like)
			}
		}
		m := f.mistake(at-len(word)-1, len(word)+1, hint, "#%s is no directive: it is printed as it stands", word)
		if word == "macro" {
			m.Text = "#macro defines nothing here, and its calls are printed as they stand"
		}
		m.Severity = config.SeverityWarning
		all = append(all, m.Error())
	}
	return all
}

// macros are the names that the template defines with #macro.
func (f *file) macros(profile string) []string {
	var all []string
	if profile != VelocityProfile {
		return nil
	}
	for _, part := range strings.Split(string(f.text), "#macro")[1:] {
		if names := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(" \t\r\n()$", r) }); len(names) > 0 {
			all = append(all, names[0])
		}
	}
	return all
}

// directive moves at behind the next word that stands behind #, and returns it
// and the character behind it. It returns "" where a comment, literal text or
// nothing of the kind is.
func (f *file) directive(at *int) (word string, after byte) {
	i := bytes.IndexByte(f.text[*at:], '#')
	if i < 0 || *at+i+1 == len(f.text) {
		*at = len(f.text)
		return "", 0
	}
	begin := *at + i + 1
	escaped := begin > 1 && f.text[begin-2] == '\\'
	skip := func(end string) {
		if i := bytes.Index(f.text[begin:], []byte(end)); i >= 0 {
			*at = begin + i + len(end)
			return
		}
		*at = len(f.text)
	}
	switch f.text[begin] {
	case '#':
		skip("\n")
		return "", 0
	case '*':
		skip("*#")
		return "", 0
	case '[':
		skip("]]#")
		return "", 0
	}
	end := begin
	for end < len(f.text) && (f.text[end]|0x20 >= 'a' && f.text[end]|0x20 <= 'z' || end > begin && (f.text[end] >= '0' && f.text[end] <= '9' || f.text[end] == '_')) {
		end++
	}
	*at = end
	if escaped {
		return "", 0
	}
	if end < len(f.text) {
		after = f.text[end]
	}
	return string(f.text[begin:end]), after
}
