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

// longestLine is where AWS cuts a line of a log.
const longestLine = 998

// AWS returns the log that AWS's TestInvokeMethod has for such a request, line by
// line as recorded.
func (t *Trace) AWS() string {
	l := &log{at: t.Time.UTC().Format("Mon Jan 02 15:04:05 UTC 2006")}
	l.b.WriteString("Execution log for request " + t.ID + "\n")
	l.line("Starting execution for request: " + t.ID)
	path, query, _ := strings.Cut(t.Request.Target, "?")
	l.line("HTTP Method: " + t.Request.Method + ", Resource Path: " + path)
	l.pairs("Method request path: ", t.Params)
	l.line("Method request query string: {" + strings.ReplaceAll(query, "&", ", ") + "}")
	l.pairs("Method request headers: ", t.Request.Fields)
	l.line("Method request body before transformations: " + t.Request.text())
	if sent := t.result("integration request"); sent != nil && sent.Target != "" {
		uri := sent.Target
		if sent.Host != "" {
			uri = sent.Host + uri
		}
		l.line("Endpoint request URI: " + uri)
		l.pairs("Endpoint request headers: ", sent.Fields)
		l.line("Endpoint request body after transformations: " + sent.text())
		l.line("Sending request to " + uri)
	}
	if back := t.result("integration"); back != nil {
		took := t.phase("integration").Took.Milliseconds()
		l.line(fmt.Sprintf("Received response. Status: %d, Integration latency: %d ms", back.Status, took))
		l.pairs("Endpoint response headers: ", back.Fields)
		l.line("Endpoint response body before transformations: " + back.text())
	}
	if f := t.Fault; f != nil {
		l.line("Execution failed due to " + failure(f))
	} else {
		l.line("Method response body after transformations: " + t.Reply.text())
		l.pairs("Method response headers: ", t.Reply.Fields)
		l.line("Successfully completed execution")
	}
	l.line("Method completed with status: " + strconv.Itoa(t.Reply.Status))
	return l.b.String()
}

// failure is AWS's word for a fault, and ours.
func failure(f *Fault) string {
	begin := "configuration error: "
	switch f.Kind {
	case "INTEGRATION_TIMEOUT":
		begin = "a timeout error: "
	case "INTEGRATION_FAILURE":
		begin = "a network error communicating with endpoint: "
	}
	if f.Cause != "" {
		return begin + f.Cause
	}
	return begin + f.Message
}

// phase returns the phase of a name, nil if the request didn't come to it.
func (t *Trace) phase(name string) *Phase {
	for i := range t.Phases {
		if t.Phases[i].Name == name {
			return &t.Phases[i]
		}
	}
	return nil
}

// result returns what a phase has made, nil for nothing.
func (t *Trace) result(name string) *Message {
	if p := t.phase(name); p != nil {
		return p.Message
	}
	return nil
}

func (m *Message) text() string {
	if m.Content == nil {
		return ""
	}
	return m.Content.Text
}

// log are the lines of AWS's log.
type log struct {
	at string
	b  strings.Builder
}

func (l *log) line(text string) {
	l.b.WriteString(l.at + " : ")
	if len(text) > longestLine {
		text = string(whole([]byte(text[:longestLine]))) + " [TRUNCATED]"
	}
	l.b.WriteString(printable(text) + "\n")
}

func (l *log) pairs(what string, values []Value) {
	pairs := make([]string, len(values))
	for i, v := range values {
		pairs[i] = v.Name + "=" + v.Value
	}
	l.line(what + "{" + strings.Join(pairs, ", ") + "}")
}
