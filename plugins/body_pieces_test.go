package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	languages "github.com/postern-gateway/postern/sdk/guests"
)

// coming is content that comes in these pieces.
type coming struct {
	pieces  []string
	err     error // in place of io.EOF
	aborted bool
}

func (c *coming) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; c.pieces[0] == "" {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

func (c *coming) Trailers() http1.Fields { return http1.Fields{http1.NewField("X-Sum", "1")} }

func (c *coming) Abort() { c.aborted = true }

// pieceGuest is the test guest for content in pieces.
func pieceGuest(t testing.TB) string { return languages.Build(t, "testdata/wasm/pieces/pieces.c") }

// upload runs the filter for a request whose content comes in pieces, and returns what
// goes to the backend.
func (r *rig) upload(do string, body *coming, length int64) (*proxy.Exchange, string, error) {
	ex := r.exchange("x-do", do)
	ex.In.Whole, ex.In.Body, ex.In.Length = false, body, length
	if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
		return ex, "", err
	}
	if ex.In.Whole {
		return ex, string(ex.In.Content), nil
	}
	got, err := io.ReadAll(ex.In.Body)
	return ex, string(got), err
}

// download is upload for a response.
func (r *rig) download(do string, body *coming, length int64) (*proxy.Exchange, string, error) {
	ex := r.exchange("x-do", do)
	ex.Reply = proxy.Response{Status: 200, Body: body, Length: length}
	if _, err := r.steps[proxy.MethodResponse].Run(context.Background(), ex); err != nil {
		return ex, "", err
	}
	if ex.Reply.Body == nil {
		return ex, string(ex.Reply.Content), nil
	}
	got, err := io.ReadAll(ex.Reply.Body)
	return ex, string(got), err
}

func pieceRig(t testing.TB, options ...string) (*Host, *rig) {
	t.Helper()
	h := newHost(t, Options{})
	if !slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "timeout") }) {
		options = append(options, `timeout = "10s"`)
	}
	r, steps := filterSteps(t, h, pieceGuest(t), options...)
	r.steps = steps
	return h, r
}

func TestPieces(t *testing.T) {
	_, r := pieceRig(t)
	f := func(do string, want string, pieces ...string) {
		t.Helper()
		whole := strings.Join(pieces, "")
		for _, length := range []int64{http1.Unknown, int64(len(whole))} {
			for name, run := range map[string]func(string, *coming, int64) (*proxy.Exchange, string, error){"request": r.upload, "response": r.download} {
				ex, got, err := run(do, &coming{pieces: slices.Clone(pieces)}, length)
				if err != nil || got != want {
					t.Errorf("%s, length %d, %s: got %.100q, %v, want %.100q", do, length, name, got, err, want)
				}
				ex.End()
			}
		}
		ex := r.exchange("x-do", do)
		ex.In.Content = []byte(whole)
		if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil || string(ex.In.Content) != want || ex.In.Length != int64(len(want)) {
			t.Errorf("%s, whole: got %.100q, length %d, %v, want %.100q", do, ex.In.Content, ex.In.Length, err, want)
		}
		ex.End()
	}
	f("", "one two three", "one ", "two ", "three")
	f("capitals", "ONE TWO THREE", "one ", "two ", "three")
	f("drop", "", "one ", "two ", "three")
	f("hold", "0123456789abcdefghijk", "0", "12", "345678", "9abc", "defghij", "k")
	f("hold", "0123", "0", "123")
	f("lines", "3one\n7two and\n0\nrest", "one\ntw", "o", " and\n", "\nre", "st")
	f("codes", "one two three", "one ", "two ", "three")
	f("capitals", strings.Repeat("X", 100_000), strings.Repeat("x", 100_000))
	f("lines", strings.Repeat("9999"+strings.Repeat("y", 9999)+"\n", 20), strings.Repeat(strings.Repeat("y", 9999)+"\n", 20))
}

// However content is cut, the guest makes the same of it.
func TestPiecesOfAnySize(t *testing.T) {
	_, r := pieceRig(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var text []byte
		for range rnd.IntN(3000) {
			text = append(text, "ab\n"[rnd.IntN(3)])
		}
		var want strings.Builder
		rest := string(text)
		for line, after, found := strings.Cut(rest, "\n"); found; line, after, found = strings.Cut(rest, "\n") {
			fmt.Fprintf(&want, "%d%s\n", len(line), line)
			rest = after
		}
		want.WriteString(rest)
		var pieces []string
		for left := string(text); left != ""; {
			n := min(len(left), 1+rnd.IntN(1+rnd.IntN(500)))
			pieces = append(pieces, left[:n])
			left = left[n:]
		}
		ex, got, err := r.upload("lines", &coming{pieces: pieces}, http1.Unknown)
		if err != nil || got != want.String() {
			t.Fatalf("round %d, %d pieces: %v, got\n%q, want\n%q", round, len(pieces), err, got, want.String())
		}
		ex.End()
	}
}

// A message whose content nobody changes keeps its length, one that may be changed
// has one again when it is short, and none has pieces where there is no content.
func TestPiecesFraming(t *testing.T) {
	_, r := pieceRig(t)
	big := &coming{pieces: []string{strings.Repeat("x", 100_000)}}
	if ex, _, _ := r.download("capitals", big, 100_000); ex.Reply.Length != http1.Unknown || ex.Reply.Body.Trailers().Get("X-Sum") != "1" {
		t.Errorf("long content: length %d, trailers %v", ex.Reply.Length, ex.Reply.Body.Trailers())
	}
	if ex, got, _ := r.upload("capitals", &coming{pieces: []string{"abc"}}, 3); !ex.In.Whole || got != "ABC" || ex.In.Length != 3 {
		t.Errorf("short content: got %q, length %d", got, ex.In.Length)
	}
	for name, change := range map[string]func(*proxy.Exchange){
		"no content": func(ex *proxy.Exchange) { ex.Reply.Content = nil },
		"HEAD":       func(ex *proxy.Exchange) { ex.In.Method = "HEAD" },
		"304":        func(ex *proxy.Exchange) { ex.Reply.Status = 304 },
	} {
		ex := r.exchange("x-do", "trap now")
		ex.Reply = proxy.Response{Status: 200, Content: []byte("abc")}
		change(ex)
		before := string(ex.Reply.Content)
		if _, err := r.steps[proxy.MethodResponse].Run(context.Background(), ex); err != nil || string(ex.Reply.Content) != before {
			t.Errorf("%s: %q, %v", name, ex.Reply.Content, err)
		}
		if ex.Notes.Plugin != "" {
			t.Errorf("%s: the plugin was called", name)
		}
		ex.End()
	}
	ex, got, err := r.upload("", &coming{}, http1.Unknown)
	if err != nil || got != "" {
		t.Errorf("content that is empty: %q, %v", got, err)
	}
	ex.End()
}

// What fails half way ends the content with an error, in each direction, and is
// told to the record.
func TestPiecesFail(t *testing.T) {
	h, r := pieceRig(t, `timeout = "50ms"`)
	f := func(do string, kind proxy.FaultKind, failure string) {
		t.Helper()
		ex, got, err := r.upload(do, &coming{pieces: []string{"one ", "two ", "three"}}, http1.Unknown)
		wantFault(t, err, kind)
		if strings.Contains(got, "two") || strings.Contains(got, "three") {
			t.Errorf("%s, request: %q went on", do, got)
		}
		ex.Reply.Status = 500
		if _, err := r.steps[proxy.MethodResponse].Run(context.Background(), ex); err != nil {
			t.Errorf("%s: %v", do, err)
		}
		if n := ex.Notes; n.PluginFailure != failure || n.PluginRole != "request_body" || n.PluginTime <= 0 {
			t.Errorf("%s, request: notes are %+v", do, n)
		}
		ex.End()
		ex, got, err = r.download(do, &coming{pieces: []string{"one ", "two ", "three"}}, http1.Unknown)
		wantFault(t, err, kind)
		if strings.Contains(got, "two") || ex.Notes.PluginFailure != failure || ex.Notes.PluginRole != "response_body" {
			t.Errorf("%s, response: %q, notes %+v", do, got, ex.Notes)
		}
		if _, more := ex.Reply.Body.Read(make([]byte, 9)); more != err {
			t.Errorf("%s: a second Read gives %v, the first %v", do, more, err)
		}
		ex.End()
	}
	f("trap", proxy.PluginFailure, "trap")
	f("loop", proxy.PluginTimeout, "deadline")
	f("fail", proxy.PluginFailure, "fail")
	f("nothing", proxy.PluginFailure, "answer")
	if s := stats(t, h); s.Instances > 1 {
		t.Errorf("%d instances are left", s.Instances)
	}
	// Whole content fails before anything of it goes on.
	ex := r.exchange("x-do", "nothing")
	ex.Reply = proxy.Response{Status: 200, Content: []byte("abc")}
	_, err := r.steps[proxy.MethodResponse].Run(context.Background(), ex)
	wantFault(t, err, proxy.PluginFailure)
	ex.End()
	// What ends the content itself is passed on.
	cause := errors.New("cut off")
	if ex, got, err := r.download("", &coming{pieces: []string{"one"}, err: cause}, http1.Unknown); err != cause || got != "one" || ex.Notes.PluginFailure != "" {
		t.Errorf("a backend that breaks off: %q, %v, %+v", got, err, ex.Notes)
	}
	if _, _, err := r.upload("capitals", &coming{pieces: []string{"one"}, err: proxy.Fault{Kind: proxy.RequestTooLarge}}, 10); err != (proxy.Fault{Kind: proxy.RequestTooLarge}) {
		t.Errorf("too much content: %v", err)
	}
}

// on_error = "continue" lets content go on as if the plugin hadn't been there, if
// that is still so.
func TestPiecesContinue(t *testing.T) {
	_, r := pieceRig(t, `on_error = "continue"`)
	ex, got, err := r.upload("trap", &coming{pieces: []string{"one ", "two ", "three"}}, http1.Unknown)
	if err != nil || got != "one two three" {
		t.Errorf("got %q, %v", got, err)
	}
	ex.Reply.Status = 200
	_, _ = r.steps[proxy.MethodResponse].Run(context.Background(), ex)
	if ex.Notes.PluginFailure != "trap" {
		t.Errorf("notes are %+v", ex.Notes)
	}
	_, got, err = r.download("spoil", &coming{pieces: []string{"one ", "two ", "three"}}, http1.Unknown)
	wantFault(t, err, proxy.PluginFailure)
	if got != "ONE " {
		t.Errorf("got %q", got)
	}
}

func TestPiecesRefuse(t *testing.T) {
	_, r := pieceRig(t)
	_, got, err := r.upload("refuse", &coming{pieces: []string{"one ", "two ", "three"}}, http1.Unknown)
	var f proxy.Fault
	if !errors.As(err, &f) || f.Kind != proxy.AccessDenied || f.Message != "too many" || got != "one " {
		t.Errorf("got %q, %v", got, err)
	}
	_, _, err = r.download("refuse", &coming{pieces: []string{"one ", "two "}}, http1.Unknown)
	wantFault(t, err, proxy.PluginFailure) // a reply that has begun can't be
}

// A guest makes at most 1 MiB of a piece.
func TestPiecesGrow(t *testing.T) {
	_, r := pieceRig(t)
	ex, got, err := r.download("grow", &coming{pieces: []string{"a", "b", "c"}}, http1.Unknown)
	if err != nil || len(got) != 4<<20 { // once more at the end
		t.Errorf("%d bytes, %v", len(got), err)
	}
	ex.End()
	ex = r.exchange("x-do", "grow")
	ex.Reply = proxy.Response{Status: 200, Content: bytes.Repeat([]byte("x"), 11*pieceSize)}
	_, err = r.steps[proxy.MethodResponse].Run(context.Background(), ex)
	wantFault(t, err, proxy.PluginFailure)
	ex.End()
}

// waiting is content that doesn't come until it is let.
type waiting struct {
	coming
	asked chan struct{}
	let   chan struct{}
}

func (w *waiting) Read(p []byte) (int, error) {
	w.asked <- struct{}{}
	<-w.let
	return w.coming.Read(p)
}

// While content is waited for, the plugin's only instance serves others.
func TestPiecesHoldNothing(t *testing.T) {
	_, r := pieceRig(t, "max_instances = 1", `wait = "1ms"`)
	slow := &waiting{coming{pieces: []string{"one ", "two"}}, make(chan struct{}), make(chan struct{})}
	ex := r.exchange("x-do", "capitals")
	ex.In.Whole, ex.In.Body, ex.In.Length = false, slow, http1.Unknown
	if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	go func() {
		all, err := io.ReadAll(ex.In.Body)
		done <- fmt.Sprint(string(all), err)
	}()
	for range 3 {
		<-slow.asked
		if other, got, err := r.upload("capitals", &coming{pieces: []string{"x"}}, http1.Unknown); err != nil || got != "X" {
			t.Errorf("somebody else: %q, %v", got, err)
		} else {
			other.End()
		}
		slow.let <- struct{}{}
	}
	if got := <-done; got != "ONE TWO<nil>" {
		t.Errorf("got %s", got)
	}
	ex.In.Body.(interface{ Abort() }).Abort()
	if !slow.aborted {
		t.Error("Abort doesn't reach the client's content")
	}
	ex.End()
}

// The bag of a request is one for all its calls, also for those about content that
// another goroutine reads meanwhile.
func TestPiecesShareTheBag(t *testing.T) {
	_, r := pieceRig(t)
	ex := r.exchange("x-do", "")
	many := &coming{}
	for range 500 {
		many.pieces = append(many.pieces, "0123456789")
	}
	ex.In.Whole, ex.In.Body, ex.In.Length = false, many, http1.Unknown
	if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(io.Discard, ex.In.Body) })
	ex.Reply = proxy.Response{Status: 200, Body: &coming{pieces: []string{"abc", "def"}}, Length: http1.Unknown}
	if _, err := r.steps[proxy.MethodResponse].Run(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, ex.Reply.Body); err != nil {
		t.Fatal(err)
	}
	reader.Wait()
	b, _ := ex.Kept((*bagKey)(r.steps[proxy.MethodRequest].(*requestPieces).plugin)).(*bag)
	if got := fmt.Sprint(b.list()); !strings.Contains(got, "{pieces ") {
		t.Errorf("the bag has %s", got)
	}
	ex.End()
}

// endless is content of a length, of which nothing is stored.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = 'a' + byte(i&15)
	}
	e.left -= n
	return n, nil
}

func (e *endless) Trailers() http1.Fields { return nil }

// 64 MiB go through a guest that changes each byte in the memory of a few pieces.
func TestPiecesTakeLittleMemory(t *testing.T) {
	_, r := pieceRig(t)
	ex := r.exchange("x-do", "capitals")
	ex.In.Whole, ex.In.Body, ex.In.Length = false, &endless{64 << 20}, 64<<20
	if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	passesInPieces(t, ex.In.Body)
	ex.End()
}

// passesInPieces reads 64 MiB from r, for which little memory may be needed.
func passesInPieces(t *testing.T, r io.Reader) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, r)
	runtime.ReadMemStats(&after)
	if err != nil || n != 64<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if grew := after.TotalAlloc - before.TotalAlloc; grew > 8<<20 {
		t.Errorf("%d KiB were allocated", grew>>10)
	}
}

// BenchmarkPieces is what a plugin in the way of content costs, for each MiB.
func BenchmarkPieces(b *testing.B) {
	for _, do := range []string{"", "capitals"} {
		b.Run("do="+do, func(b *testing.B) {
			_, r := pieceRig(b)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				ex := r.exchange("x-do", do)
				ex.In.Whole, ex.In.Body, ex.In.Length = false, &endless{1 << 20}, 1<<20
				if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, ex.In.Body); err != nil {
					b.Fatal(err)
				}
				ex.End()
			}
		})
	}
}
