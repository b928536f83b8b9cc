package explain

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// WriteText writes a trace for people.
func (t *Trace) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "request %s\n", t.ID)
	t.writeRequest(&b, "  ", &t.Request)
	switch {
	case t.Route != "":
		fmt.Fprintf(&b, "  route       %q of API %s, stage %s\n", t.Route, t.API, t.Stage)
	case t.API != "":
		fmt.Fprintf(&b, "  route       none in API %s, stage %s\n", t.API, t.Stage)
	}
	writeValues(&b, "  parameter   ", t.Params)
	writeValues(&b, "  variable    ", t.Variables)
	for i := range t.Phases {
		p := &t.Phases[i]
		fmt.Fprintf(&b, "\n%s (%s)\n", p.Name, duration(p.Took))
		for _, s := range p.Steps {
			fmt.Fprintf(&b, "  %s: %s (%s)\n", s.Name, printable(s.Outcome), duration(s.Took))
			for _, n := range s.Notes {
				writeNote(&b, n)
			}
		}
		if p.Message != nil {
			b.WriteString("  =>\n")
			t.writeRequest(&b, "    ", p.Message)
		}
	}
	if f := t.Fault; f != nil {
		fmt.Fprintf(&b, "\nfailed: gateway response %s, status %d\n", f.Kind, f.Status)
		if f.Message != "" {
			fmt.Fprintf(&b, "  the client is told: %s\n", printable(f.Message))
		}
		if f.Cause != "" {
			fmt.Fprintf(&b, "  because: %s\n", strings.ReplaceAll(printable(f.Cause), "\n", "\n    "))
		}
	}
	fmt.Fprintf(&b, "\nreply (after %s)\n", duration(t.Took))
	t.writeRequest(&b, "  ", &t.Reply)
	if t.Truncated {
		b.WriteString("\nthere was more than a trace holds\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRequest writes a request or an answer.
func (t *Trace) writeRequest(b *strings.Builder, indent string, m *Message) {
	switch {
	case m.Status != 0:
		fmt.Fprintf(b, "%sstatus %d\n", indent, m.Status)
	case m.Method != "" || m.Target != "":
		fmt.Fprintf(b, "%s%s %s\n", indent, m.Method, printable(m.Target))
	}
	if m.Host != "" {
		fmt.Fprintf(b, "%shost        %s\n", indent, printable(m.Host))
	}
	writeValues(b, indent+"header      ", m.Fields)
	c := m.Content
	if c == nil {
		return
	}
	length := strconv.FormatInt(c.Length, 10) + " bytes"
	if c.Length == 1 {
		length = "1 byte"
	}
	if c.Streamed {
		length += ", streamed"
	}
	fmt.Fprintf(b, "%scontent     (%s)\n", indent, length)
	if c.Text != "" {
		for _, line := range strings.Split(strings.TrimRight(c.Text, "\n"), "\n") {
			fmt.Fprintf(b, "%s  | %s\n", indent, printable(line))
		}
	}
}

func writeValues(b *strings.Builder, indent string, values []Value) {
	for _, v := range values {
		fmt.Fprintf(b, "%s%s: %s\n", indent, printable(v.Name), printable(v.Value))
	}
}

func writeNote(b *strings.Builder, n Value) {
	fmt.Fprintf(b, "    - %s: %s\n", printable(n.Name), strings.ReplaceAll(printable(n.Value), "\n", "\n      "))
	if n.From != "" {
		fmt.Fprintf(b, "        <- %s\n", printable(n.From))
	}
}

// printable is s without what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

func duration(d time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond))
}
