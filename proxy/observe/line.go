package observe

import (
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// longest is how many bytes of one value a line holds: a client chooses the
// length of some of them.
const longest = 4096

// stagePrefix returns the members that every line of a stage has; "" for the
// exchanges that no stage took.
func stagePrefix(api, stage string) string {
	if api == "" {
		return ""
	}
	b := appendString(nil, `,"api":`, api)
	return string(appendString(b, `,"stage":`, stage))
}

// appendLine appends the access line of ex: one JSON object and a newline. zap's
// encoder makes the same line at several times the cost (BenchmarkLine), which was
// half of what a fixed answer cost; FuzzLine holds the two against each other.
//
// The query isn't logged: it often carries tokens. What a member would say with
// zero or false is left out, but for the figures that every line has.
func appendLine(b []byte, prefix string, stamp *stamps, ex *proxy.Exchange) []byte {
	b = append(b, `{"time":"`...)
	b = stamp.append(b, ex.Start)
	b = append(b, '"')
	b = append(b, prefix...)
	b = appendPlain(b, `,"request_id":"`, ex.ID)
	if ex.Route != nil {
		b = appendString(b, `,"route":`, ex.Route.Key)
	}
	if ex.Socket != nil {
		b = appendSocket(b, ex.Socket)
	}
	if ex.Socket == nil || ex.Socket.Event == proxy.SocketConnect {
		b = appendClean(b, `,"method":`, ex.In.Method)
		b = appendClean(b, `,"path":`, ex.In.Path)
	}
	b = appendPlain(b, `,"protocol":"`, ex.In.Proto)
	b = appendClean(b, `,"host":`, ex.In.Host)
	b = appendInt(b, `,"status":`, int64(ex.Reply.Status))
	b = appendMilliseconds(b, `,"latency_ms":`, ex.Times.Total)
	b = appendInt(b, `,"bytes_in":`, ex.Notes.BytesIn)
	b = appendInt(b, `,"bytes_out":`, ex.Notes.BytesOut)
	if client := ex.In.Client; client.IsValid() {
		b = appendPlain(b, `,"client_address":"`, ex.ClientAddress())
		b = appendInt(b, `,"client_port":`, int64(client.Port()))
	}
	if agent := ex.In.Fields.GetKnown(http1.UserAgent); agent != "" {
		b = appendClean(b, `,"user_agent":`, agent)
	}
	if c := ex.Domain.Certificate; c != nil {
		b = appendClean(b, `,"client_certificate":`, c.Subject)
		b = appendClean(b, `,"client_certificate_issuer":`, c.Issuer)
		b = appendPlain(b, `,"client_certificate_serial":"`, c.Serial)
	}
	if id := &ex.Caller.Identity; id.AccessKey != "" {
		b = appendString(b, `,"user_arn":`, id.UserARN)
		b = appendString(b, `,"access_key":`, id.AccessKey)
	}
	if id := ex.Caller.KeyID; id != "" {
		b = appendString(b, `,"api_key_id":`, id)
	}
	b = appendIntegration(b, ex)
	b = appendFailure(b, ex)
	return append(b, '}', '\n')
}

func appendIntegration(b []byte, ex *proxy.Exchange) []byte {
	times, notes := &ex.Times, &ex.Notes
	if times.Authorizer > 0 {
		b = appendMilliseconds(b, `,"authorizer_latency_ms":`, times.Authorizer)
	}
	if times.Integration > 0 {
		b = appendMilliseconds(b, `,"integration_latency_ms":`, times.Integration)
	}
	if notes.BackendStatus != 0 {
		b = appendInt(b, `,"integration_status":`, int64(notes.BackendStatus))
	}
	if notes.Target != "" {
		b = appendString(b, `,"target":`, notes.Target)
	}
	if notes.Retries != 0 {
		b = appendInt(b, `,"retries":`, int64(notes.Retries))
	}
	if notes.Plugin != "" {
		b = appendString(b, `,"plugin":`, notes.Plugin)
	}
	if notes.PluginRole != "" {
		b = appendString(b, `,"plugin_role":`, notes.PluginRole)
	}
	if notes.PluginFailure != "" {
		b = appendClean(b, `,"plugin_failure":`, notes.PluginFailure)
	}
	if notes.PluginTime > 0 {
		b = appendMilliseconds(b, `,"plugin_ms":`, notes.PluginTime)
	}
	if notes.PluginRequests > 0 {
		b = appendInt(b, `,"plugin_requests":`, int64(notes.PluginRequests))
		b = appendMilliseconds(b, `,"plugin_wait_ms":`, notes.PluginWaiting)
	}
	return b
}

func appendFailure(b []byte, ex *proxy.Exchange) []byte {
	if fault := ex.Fault; fault != nil {
		b = appendString(b, `,"fault":`, fault.Kind.String())
		if fault.Message != "" {
			b = appendClean(b, `,"fault_message":`, fault.Message)
		}
		if fault.Cause != nil {
			b = appendClean(b, `,"error":`, fault.Cause.Error())
		}
	}
	if ex.Notes.Truncated {
		b = append(b, `,"truncated":true`...)
	}
	if ex.Notes.ClientGone {
		b = append(b, `,"client_gone":true`...)
	}
	return b
}

// appendInt appends a member with a whole number. Like those below it is small enough to
// become part of its caller, where key is known and most keys are two moves.
func appendInt(b []byte, key string, n int64) []byte {
	return appendDecimal(append(b, key...), n)
}

// appendDecimal is strconv.AppendInt, quicker for what has few digits, as most numbers
// of a line have (BenchmarkDecimal).
func appendDecimal(b []byte, n int64) []byte {
	switch u := uint32(n); {
	case uint64(n) < 10:
		return append(b, '0'+byte(u))
	case uint64(n) < 100:
		return append(b, '0'+byte(u/10), '0'+byte(u%10))
	case uint64(n) < 1000:
		return append(b, '0'+byte(u/100), '0'+byte(u/10%10), '0'+byte(u%10))
	case uint64(n) < 10000:
		return append(b, '0'+byte(u/1000), '0'+byte(u/100%10), '0'+byte(u/10%10), '0'+byte(u%10))
	case uint64(n) < 100000:
		return append(b, '0'+byte(u/10000), '0'+byte(u/1000%10), '0'+byte(u/100%10), '0'+byte(u/10%10), '0'+byte(u%10))
	}
	return strconv.AppendInt(b, n, 10)
}

// appendMilliseconds appends a member with d in milliseconds, to the
// microsecond: more digits would only be noise.
func appendMilliseconds(b []byte, key string, d time.Duration) []byte {
	return appendMillis(append(b, key...), d)
}

func appendMillis(b []byte, d time.Duration) []byte {
	micros := d.Microseconds()
	if micros < 0 {
		b = append(b, '-')
		micros = -micros
	}
	b = appendDecimal(b, micros/1000)
	rest := micros % 1000
	if rest == 0 {
		return b
	}
	b = append(b, '.', '0'+byte(rest/100), '0'+byte(rest/10%10), '0'+byte(rest%10))
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// appendClean appends a member with a value that a client, a backend or a plugin
// chose: cut to a length, and safe for a terminal that shows the log. JSON
// escapes the control characters below U+0020; DEL and U+0080 to U+009F, which
// some terminals obey too, become U+FFFD here.
func appendClean(b []byte, key, s string) []byte {
	return appendQuoted(append(b, key...), s, cleaned, longest)
}

// appendPlain appends a member with a value that holds nothing to escape, such as
// an id. key ends with the quotation mark in front of the value.
func appendPlain(b []byte, key, s string) []byte {
	return append(append(append(b, key...), s...), '"')
}

// appendString appends a member with a value of the gateway's own.
func appendString(b []byte, key, s string) []byte {
	return appendQuoted(append(b, key...), s, kept, len(s))
}

// appendQuoted appends at most the first longest bytes of s as a JSON string. It stays a
// function of its own, so that its callers can be small.
//
//go:noinline
func appendQuoted(b []byte, s string, c control, longest int) []byte {
	if len(s) > longest {
		s = s[:longest]
	}
	return append(appendEscaped(append(b, '"'), s, c), '"')
}

// control says what becomes of DEL and U+0080 to U+009F.
type control bool

const (
	kept    control = false
	cleaned control = true
)

// appendEscaped appends s as it stands in a JSON string.
func appendEscaped(b []byte, s string, c control) []byte {
	start := 0
	for i := ordinary(s); i < len(s); {
		ch := s[i]
		if ch >= ' ' && ch < 0x7f && ch != '"' && ch != '\\' || ch == 0x7f && c == kept {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		size := 1
		if ch < utf8.RuneSelf {
			b = appendControl(b, ch)
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			b = appendRune(b, r, size, c)
		}
		i += size
		start = i
	}
	return append(b, s[start:]...)
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// ordinary returns how many bytes of s are ASCII that stands for itself in a JSON string
// whatever the control: nearly always all, but less than a word more may be. A difference has its high bit set where a byte is too small or the one that
// is looked for; what it borrows from the next byte spoils a word that is refused
// anyway.
func ordinary(s string) int {
	at := 0
	for ; at <= len(s)-8; at += 8 {
		if !ordinaryWord(s[at : at+8]) {
			return at
		}
	}
	if at > 0 && at < len(s) && ordinaryWord(s[len(s)-8:]) { // the last eight overlap those before
		return len(s)
	}
	return at
}

// ordinaryWord reports whether the first eight bytes of p are ordinary.
func ordinaryWord(p string) bool {
	p = p[:8]
	x := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
		uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
	quote, backslash := x^'"'*ones, x^'\\'*ones
	// The sum finds DEL.
	return (x|(x+ones)|(x-' '*ones)|(quote-ones)|(backslash-ones))&highs == 0
}

// appendControl appends an ASCII character that can't stand for itself.
func appendControl(b []byte, ch byte) []byte {
	switch ch {
	case '"', '\\':
		return append(b, '\\', ch)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	case 0x7f:
		return append(b, string(utf8.RuneError)...)
	}
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', digits[ch>>4], digits[ch&15])
}

// appendRune appends a character beyond ASCII, or a byte that is none.
func appendRune(b []byte, r rune, size int, c control) []byte {
	switch {
	case c == cleaned && (r == utf8.RuneError || r >= 0x80 && r <= 0x9f):
		return append(b, string(utf8.RuneError)...)
	case r == utf8.RuneError && size == 1:
		return append(b, `\ufffd`...)
	}
	return utf8.AppendRune(b, r)
}

// stamps writes times, of which all but the milliseconds is made once a second. The
// zero value is ready to use. Safe for concurrent use.
type stamps struct {
	layout string // "" for RFC 3339 up to the seconds
	now    atomic.Pointer[stampText]
}

type stampText struct {
	second int64
	text   string
}

// second returns t in UTC, to the second.
func (s *stamps) second(t time.Time) string {
	second := t.Unix()
	now := s.now.Load()
	if now == nil || now.second != second {
		layout := s.layout
		if layout == "" {
			layout = "2006-01-02T15:04:05."
		}
		now = &stampText{second, t.UTC().Format(layout)}
		s.now.Store(now)
	}
	return now.text
}

// append appends t in UTC, in the form of RFC 3339 with milliseconds.
func (s *stamps) append(b []byte, t time.Time) []byte {
	ms := t.Nanosecond() / 1e6
	b = append(b, s.second(t)...)
	return append(b, '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
}
