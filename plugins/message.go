package plugins

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// side is one of the messages of an exchange that guests may change. Its numbers
// are those of abi.BodyRequest and so on.
type side uint8

const (
	requestSide  side = abi.BodyRequest  // what the client sent
	responseSide side = abi.BodyResponse // what the client gets
	backendSide  side = abi.BodyBackend  // what the backend gets

	sides = 4 // and one that isn't used
)

// draft is what a call has changed so far. It counts when the call has ended
// well: commit then writes it into the exchange. So a guest that fails half way
// leaves no half of its work behind. Everything here is for all ABIs.
type draft struct {
	changes uint16 // bits of changed…; what has none is as in the exchange

	fields  [sides]http1.Fields // keep their memory from call to call
	size    [sides]int          // names and values of fields
	came    [sides]extent       // what fields was before the call
	content [sides][]byte       // new content; the exchange's once it is committed
	read    [sides]int          // so much of the old content has been read

	status  int
	query   string
	method  string
	target  string
	host    string
	message string // for a client that is refused
	written int    // bytes of text that the call has had kept
}

// extent is how much header fields are.
type extent struct{ count, size int }

// What a call has changed.
const (
	changedStatus = 1 << iota
	changedQuery
	changedMethod
	changedTarget
	changedHost
	changedMessage
	changedFields  // << side
	changedContent = changedFields << sides

	changedTexts = changedQuery | changedMethod | changedTarget | changedHost | changedMessage
)

// maxWritten is how much text one call may have kept, in bytes: more than any
// message takes, and no way to fill the gateway's memory within a deadline.
const maxWritten = 1 << 20

// reset forgets what a call wrote, but for the memory of its slices.
func (d *draft) reset() {
	d.read = [sides]int{}
	d.written = 0
	if d.changes == 0 {
		return
	}
	for i := range d.fields {
		clear(d.fields[i])
		d.fields[i] = d.fields[i][:0]
	}
	d.content = [sides][]byte{}
	if d.changes&changedTexts != 0 {
		d.query, d.method, d.target, d.host, d.message = "", "", "", "", ""
	}
	d.changes = 0
}

// keep copies a text out of the guest's memory, for as long as the exchange
// lives. It reports false when the call has had too much kept.
func (in *instance) keep(s string) (string, bool) {
	in.draft.written += len(s)
	if in.draft.written > maxWritten {
		return "", false
	}
	return in.lasting(s), true
}

// lasting joins texts, for as long as the exchange lives.
func (in *instance) lasting(parts ...string) string {
	if in.late { // the exchange's memory may be somebody else's just now
		return new(proxy.Arena).Concat(parts...)
	}
	return in.ex.Text.Concat(parts...)
}

// fieldsOf returns the header fields of one side as the guest has left them.
func (in *instance) fieldsOf(s side) http1.Fields {
	switch {
	case in.draft.changes&(changedFields<<s) != 0:
		return in.draft.fields[s]
	case s == requestSide:
		return in.ex.In.Fields
	case s == backendSide:
		return in.ex.Out.Fields
	case in.phase&(abi.Response|abi.MapResponse|abi.ResponseBody) != 0:
		return in.ex.Reply.Fields
	}
	return nil // an answer of the guest's own begins with none
}

// editable returns a side's fields to be changed in place.
func (in *instance) editable(s side) *http1.Fields {
	d := &in.draft
	if d.changes&(changedFields<<s) == 0 {
		before := in.fieldsOf(s)
		d.fields[s] = append(d.fields[s][:0], before...)
		d.size[s] = 0
		for i := range before {
			d.size[s] += len(before[i].Name) + len(before[i].Value)
		}
		d.came[s] = extent{len(before), d.size[s]}
		d.changes |= changedFields << s
	}
	return &d.fields[s]
}

// refusedField judges a field that a guest wants to set on one side. What frames
// a message or belongs to a connection is the gateway's, and so is what it says
// in its own name.
func (in *instance) refusedField(s side, f *http1.Field) int32 {
	var none proxy.Passing
	k := f.Known()
	switch {
	case !http1.ValidFieldName(f.Name) || !http1.ValidFieldValue(f.Value):
		return abi.BadArgument
	case none.HopByHop(f), k == http1.ContentLength, k == http1.XAmznRequestID, k == http1.XAmzApigwID:
		return abi.Denied
	}
	denied := false
	switch s {
	case requestSide:
		denied = k == http1.Host || !visible(&in.passing, f)
	case responseSide:
		denied = k == http1.Date || k == http1.XAmznTraceID
	case backendSide:
		denied = k == http1.Host || k == http1.Expect
	}
	if denied {
		return abi.Denied
	}
	return abi.OK
}

// setField gives name one value, in the place of the first that it had.
func (in *instance) setField(s side, name, value string) int32 {
	return in.putField(s, name, value, true)
}

// addField adds a value to name.
func (in *instance) addField(s side, name, value string) int32 {
	return in.putField(s, name, value, false)
}

func (in *instance) putField(s side, name, value string, replace bool) int32 {
	value = trimmed(value)
	f := http1.NewField(name, value)
	if code := in.refusedField(s, &f); code != abi.OK {
		return code
	}
	fields := in.editable(s)
	at, count, size := -1, len(*fields), in.draft.size[s]+len(name)+len(value)
	if replace {
		for i := range *fields {
			old := &(*fields)[i]
			if !sameName(old.Name, name) {
				continue
			}
			if at < 0 {
				at = i
			}
			count, size = count-1, size-len(old.Name)-len(old.Value)
		}
	}
	// A listener may take more fields than a guest may add: they don't count.
	if came := in.draft.came[s]; count >= came.count+abi.MaxFields || size > came.size+abi.MaxFieldText {
		return abi.Limit
	}
	name, value, ok := in.keepBoth(name, value)
	if !ok {
		return abi.Limit
	}
	several := len(*fields)-count > 1
	in.draft.size[s] = size
	if at < 0 {
		at = len(*fields)
		*fields = append(*fields, f)
	} else {
		(*fields)[at] = f
	}
	(*fields)[at].Name, (*fields)[at].Value = name, value
	if !several {
		return abi.OK
	}
	rest := (*fields)[:at+1]
	for _, old := range (*fields)[at+1:] {
		if !sameName(old.Name, name) {
			rest = append(rest, old)
		}
	}
	clear((*fields)[len(rest):])
	*fields = rest
	return abi.OK
}

// keepBoth is keep for a field's texts.
func (in *instance) keepBoth(name, value string) (keptName, keptValue string, ok bool) {
	in.draft.written += len(name) + len(value)
	if in.draft.written > maxWritten {
		return "", "", false
	}
	both := in.lasting(name, value)
	return both[:len(name)], both[len(name):], true
}

// delField removes all values of name and returns how many there were.
func (in *instance) delField(s side, name string) int32 {
	f := http1.NewField(name, "")
	if code := in.refusedField(s, &f); code != abi.OK {
		return code
	}
	fields := in.editable(s)
	kept := (*fields)[:0]
	for _, old := range *fields {
		if sameName(old.Name, name) {
			in.draft.size[s] -= len(old.Name) + len(old.Value)
			continue
		}
		kept = append(kept, old)
	}
	removed := len(*fields) - len(kept)
	clear((*fields)[len(kept):])
	*fields = kept
	return int32(removed)
}

// trimmed returns s without the blanks at its ends. RFC 9110, 5.5.
func trimmed(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// sameName compares header names.
func sameName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// setStatus sets the status for the client.
func (in *instance) setStatus(status int) int32 {
	if status < 200 || status > 599 {
		return abi.BadArgument
	}
	in.draft.status = status
	in.draft.changes |= changedStatus
	return abi.OK
}

// setText keeps a text that commit puts into the exchange.
func (in *instance) setText(to *string, bit uint16, value string) int32 {
	kept, ok := in.keep(value)
	if !ok {
		return abi.Limit
	}
	*to = kept
	in.draft.changes |= bit
	return abi.OK
}

// commit writes what the call has changed into the exchange, but for an answer
// of the guest's own.
func (in *instance) commit() {
	d, ex := &in.draft, in.ex
	if d.changes == 0 {
		return
	}
	if d.changes&(changedFields<<requestSide) != 0 {
		ex.In.Fields = append(ex.In.Fields[:0], d.fields[requestSide]...)
	}
	if d.changes&(changedContent<<requestSide) != 0 {
		ex.In.Content, ex.In.Whole, ex.In.Body = d.content[requestSide], true, nil
		ex.In.Length = int64(len(ex.In.Content))
	}
	if d.changes&changedQuery != 0 {
		ex.In.RawQuery, ex.In.HasQuery = d.query, d.query != ""
	}
	switch in.phase {
	case abi.Request:
		in.commitRewrite()
	case abi.MapRequest:
		in.commitBackend()
	}
	if in.phase&(abi.Response|abi.MapResponse) != 0 {
		in.commitReply()
	}
}

// commitRewrite has the backend get another method or path than it would.
func (in *instance) commitRewrite() {
	d, ex := &in.draft, in.ex
	if d.changes&changedMethod != 0 && (ex.Rewrite.Method != "" || d.method != ex.Method) {
		ex.Rewrite.Method = d.method
	}
	if d.changes&changedTarget != 0 && (ex.Rewrite.Path != "" || d.target != ex.Path) {
		ex.Rewrite.Path = d.target
	}
}

func (in *instance) commitBackend() {
	d, out := &in.draft, &in.ex.Out
	if d.changes&(changedFields<<backendSide) != 0 {
		out.Fields = append(out.Fields[:0], d.fields[backendSide]...)
	}
	if d.changes&(changedContent<<backendSide) != 0 && out.Upgrade == "" { // a request to switch has none
		out.Content, out.Body, out.Length = d.content[backendSide], nil, 0
	}
	if d.changes&changedMethod != 0 {
		out.Method = d.method
	}
	if d.changes&changedTarget != 0 {
		out.Target = d.target
	}
	if d.changes&changedHost != 0 {
		out.Host = d.host
	}
}

func (in *instance) commitReply() {
	d, reply := &in.draft, &in.ex.Reply
	if d.changes&(changedFields<<responseSide) != 0 {
		reply.Fields = append(reply.Fields[:0], d.fields[responseSide]...)
	}
	if reply.Status == 101 {
		return // the connection is the backend's from here on
	}
	if d.changes&changedStatus != 0 {
		reply.Status = d.status
	}
	if d.changes&(changedContent<<responseSide) != 0 {
		reply.Content, reply.Body = d.content[responseSide], nil
		reply.Length = int64(len(reply.Content))
	}
	if withoutContent(reply.Status) {
		reply.Content, reply.Body, reply.Length = nil, nil, 0
	}
}

// answerTo makes the guest's own answer to's.
func (in *instance) answerTo(to *proxy.Response) {
	d := &in.draft
	*to = proxy.Response{Status: 200, Fields: append(to.Fields[:0], d.fields[responseSide]...)}
	if d.changes&changedStatus != 0 {
		to.Status = d.status
	}
	if !withoutContent(to.Status) {
		to.Content = d.content[responseSide]
		to.Length = int64(len(to.Content))
	}
}

// withoutContent reports whether answers of this status never have content.
// RFC 9110, 6.4.1 and 15.3.6.
func withoutContent(status int) bool { return status == 204 || status == 205 || status == 304 }
