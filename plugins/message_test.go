package plugins

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// editing is an instance without a guest, in a call about an exchange.
func editing(t testing.TB, phase abi.Phase, headers ...string) *instance {
	r := newRig(t)
	in := &instance{plugin: &plugin{}, phase: phase, ex: r.exchange(headers...)}
	in.passing = proxy.PassingOf(in.ex.In.Fields)
	return in
}

func lines(fs http1.Fields) []string {
	var all []string
	for i := range fs {
		all = append(all, fs[i].Name+": "+fs[i].Value)
	}
	return all
}

// Any sequence of edits does what a list of lines and plain loops do, and keeps
// count of its size.
func TestEditsFollowTheModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"A", "a", "B", "X-Long-Name", "x-long-name", "C"}
	for round := range 300 {
		in := editing(t, abi.Response)
		var model []string
		for range rnd.IntN(6) {
			name, value := names[rnd.IntN(len(names))], fmt.Sprint(rnd.IntN(9))
			in.ex.Reply.Fields = append(in.ex.Reply.Fields, http1.NewField(name, value))
			model = append(model, name+": "+value)
		}
		before := lines(in.ex.Reply.Fields)
		called := func(name string) func(string) bool {
			return func(line string) bool { n, _, _ := strings.Cut(line, ":"); return strings.EqualFold(n, name) }
		}
		for range rnd.IntN(12) {
			name, value := names[rnd.IntN(len(names))], fmt.Sprint(rnd.IntN(9))
			line := name + ": " + value
			switch rnd.IntN(3) {
			case 0:
				in.addField(responseSide, name, " "+value+"\t")
				model = append(model, line)
			case 1:
				in.setField(responseSide, name, value)
				at := slices.IndexFunc(model, called(name))
				if at < 0 {
					model = append(model, line)
					break
				}
				model[at] = line
				model = append(model[:at+1], slices.DeleteFunc(model[at+1:], called(name))...)
			case 2:
				n := len(model)
				model = slices.DeleteFunc(model, called(name))
				if got := in.delField(responseSide, name); int(got) != n-len(model) {
					t.Fatalf("round %d: %d fields were removed, want %d", round, got, n-len(model))
				}
			}
		}
		if got := lines(in.fieldsOf(responseSide)); !slices.Equal(got, model) {
			t.Fatalf("round %d:\n got %q\nwant %q", round, got, model)
		}
		if got := lines(in.ex.Reply.Fields); !slices.Equal(got, before) {
			t.Fatalf("round %d: the exchange was changed before the call's end: %q", round, got)
		}
		if in.draft.changes != 0 {
			if size := len(strings.Join(model, "")) - 2*len(model); in.draft.size[responseSide] != size {
				t.Fatalf("round %d: size is %d, want %d", round, in.draft.size[responseSide], size)
			}
		}
		in.commit()
		if got := lines(in.ex.Reply.Fields); !slices.Equal(got, model) {
			t.Fatalf("round %d: committed %q, want %q", round, got, model)
		}
	}
}

// Whatever a guest sets, what goes out has the lines that it set and no other.
func FuzzSetField(f *testing.F) {
	f.Add("X-A", "b", uint8(1))
	f.Add("X-A", "b\r\nEvil: 1", uint8(2))
	f.Add("Transfer-Encoding", "chunked", uint8(3))
	f.Add("X-Forwarded-For", "1.2.3.4", uint8(1))
	f.Add("A B", "", uint8(2))
	f.Fuzz(func(t *testing.T, name, value string, n uint8) {
		s := side(n%3 + 1)
		in := editing(t, map[side]abi.Phase{requestSide: abi.Request, responseSide: abi.Response, backendSide: abi.MapRequest}[s])
		count := len(in.fieldsOf(s))
		code := in.setField(s, name, value)
		for _, c := range []byte(value) {
			if (c < ' ' && c != '\t' || c == 0x7f) && code == abi.OK && strings.IndexByte(strings.Trim(value, " \t"), c) >= 0 {
				t.Fatalf("%q was taken as a value", value)
			}
		}
		if name == "" || strings.ContainsAny(name, " \t\r\n:\x00(),/;<=>?@[\\]{}\"") {
			if code == abi.OK {
				t.Fatalf("%q was taken as a name", name)
			}
		}
		if code != abi.OK {
			if len(in.fieldsOf(s)) != count {
				t.Fatalf("%q left something behind: %q", name, lines(in.fieldsOf(s)))
			}
			return
		}
		switch strings.ToLower(name) {
		case "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length",
			"x-amzn-requestid", "x-amz-apigw-id":
			t.Fatalf("%q was taken on side %d", name, s)
		case "host":
			t.Fatalf("Host was taken on side %d", s)
		}
		fs := in.fieldsOf(s)
		if len(fs) != count+1 {
			t.Fatalf("%d fields, want %d", len(fs), count+1)
		}
		if last := fs[len(fs)-1]; last.Name != name || last.Value != strings.Trim(value, " \t") {
			t.Fatalf("set %q: %q, got %q: %q", name, value, last.Name, last.Value)
		}
	})
}

// What came with a message isn't the guest's: it may add to one that has as many
// fields, and as large ones, as a listener takes.
func TestEditLargeMessage(t *testing.T) {
	in := editing(t, abi.Request)
	in.ex.In.Fields = nil
	for i := range 10 * abi.MaxFields {
		in.ex.In.Fields = append(in.ex.In.Fields, http1.NewField(fmt.Sprint("X-", i), strings.Repeat("v", 100)))
	}
	for i := range abi.MaxFields {
		if code := in.setField(requestSide, fmt.Sprint("Y-", i), "1"); code != abi.OK {
			t.Fatalf("field %d: %d", i, code)
		}
	}
	if code := in.setField(requestSide, "Z", "1"); code != abi.Limit {
		t.Errorf("one field too many: %d, want %d", code, abi.Limit)
	}
	if code := in.setField(requestSide, "X-1", strings.Repeat("v", abi.MaxFieldText+100)); code != abi.Limit {
		t.Errorf("too large a value: %d, want %d", code, abi.Limit)
	}
	if code := in.setField(requestSide, "X-1", "2"); code != abi.OK {
		t.Errorf("another value: %d", code)
	}
}

func TestEditLimits(t *testing.T) {
	in := editing(t, abi.Response)
	for i := range abi.MaxFields {
		if code := in.addField(responseSide, "X", "1"); code != abi.OK {
			t.Fatalf("field %d: %d", i, code)
		}
	}
	if code := in.addField(responseSide, "X", "1"); code != abi.Limit {
		t.Errorf("field %d: %d, want %d", abi.MaxFields, code, abi.Limit)
	}
	// One in the place of all is no more than there were.
	if code := in.setField(responseSide, "x", "2"); code != abi.OK || len(in.fieldsOf(responseSide)) != 1 {
		t.Errorf("set: %d, %q", code, lines(in.fieldsOf(responseSide)))
	}
	big := strings.Repeat("x", abi.MaxFieldText)
	if code := in.addField(responseSide, "Big", big); code != abi.Limit {
		t.Errorf("%d bytes: %d", len(big), code)
	}
	// What a call may have kept in all is bounded, whether or not it replaces.
	half, taken := big[:abi.MaxFieldText/2], 0
	for in.setField(responseSide, "Half", half) == abi.OK {
		taken += len(half)
	}
	if taken < maxWritten/2 || taken > maxWritten {
		t.Errorf("%d bytes were kept", taken)
	}
	in.draft.reset()
	if n := len(in.fieldsOf(responseSide)); n != 0 {
		t.Errorf("%d fields are left for the next call", n)
	}

	for i := range abi.MaxBagEntries {
		if code := in.putInBag(fmt.Sprint("n", i), "v"); code != abi.OK {
			t.Fatalf("entry %d: %d", i, code)
		}
	}
	if code := in.putInBag("one more", "v"); code != abi.Limit {
		t.Errorf("one entry too many: %d", code)
	}
	if code := in.putInBag("n1", strings.Repeat("v", abi.MaxBag)); code != abi.Limit {
		t.Errorf("a value that is too long: %d", code)
	}
	if n := in.takeFromBag("n1") + in.takeFromBag("n1"); n != 1 || in.putInBag("one more", "v") != abi.OK {
		t.Errorf("%d entries were removed, want 1", n)
	}
	other := editing(t, abi.Request)
	other.ex = in.ex
	if len(other.bagged()) != 0 || len(in.bagged()) != abi.MaxBagEntries {
		t.Errorf("another plugin sees %d entries, this one %d", len(other.bagged()), len(in.bagged()))
	}
}

// slowBody gives its content in pieces and then ends as told.
type slowBody struct {
	left int
	end  error
}

func (b *slowBody) Read(p []byte) (int, error) {
	n := min(len(p), 1000, b.left)
	b.left -= n
	if b.left == 0 {
		return n, b.end
	}
	return n, nil
}

func (*slowBody) Trailers() http1.Fields { return nil }

func TestReadReply(t *testing.T) {
	f := func(length int, known bool, end error, want string) {
		t.Helper()
		ex := &proxy.Exchange{Reply: proxy.Response{Status: 200, Body: &slowBody{length, end}, Length: http1.Unknown}}
		if known {
			ex.Reply.Length = int64(length)
		}
		err := readReply(ex)
		if fmt.Sprint(err) != want {
			t.Errorf("%d bytes: %v, want %s", length, err, want)
		}
		if err == nil && (len(ex.Reply.Content) != length || ex.Reply.Length != int64(length) || ex.Reply.Body != nil) {
			t.Errorf("%d bytes: got %d, length %d", length, len(ex.Reply.Content), ex.Reply.Length)
		}
	}
	f(0, true, io.EOF, "<nil>")
	f(5000, true, io.EOF, "<nil>")
	f(5000, false, io.EOF, "<nil>")
	f(abi.MaxBody, false, io.EOF, "<nil>")
	f(abi.MaxBody+1, false, io.EOF, errReplySize.Error())
	f(abi.MaxBody+1, true, io.EOF, errReplySize.Error())
	f(5000, true, io.ErrUnexpectedEOF, "read the answer's content: unexpected EOF")
}
