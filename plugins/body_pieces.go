package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// passage is content on its way that a plugin sees piece by piece: the Body of its
// message in place of the one that it had. An instance is taken for each piece
// and given back, so that none waits for who sends content or takes it; what the
// guest wants to remember from one to the next stands in the bag.
//
// A request's may be read by another goroutine than the one that runs the
// pipeline: what both look at is in the block below.
type passage struct {
	// Set at construction.
	filter *pieceFilter
	ctx    context.Context
	ex     *proxy.Exchange
	bag    *bag
	under  proxy.Body // what the message had; nil for content that is all here
	away   bool       // it is the message's Body

	// Owned by who reads.
	left     int64  // bytes that under still gives, or http1.Unknown
	buf      []byte // what was held back, then what came last; all content without under
	next     int    // where the next piece begins in buf
	piece    []byte // part of buf
	last     bool   // nothing comes behind piece
	over     bool   // and the guest has seen it
	begun    bool   // it has seen any
	altered  bool   // what went on isn't what came
	unlooked bool   // the guest has failed, and the rest goes on without it
	ready    []byte // goes on
	err      error

	// The call's.
	read  int    // of piece, by the guest
	out   []byte // in place of piece
	wrote bool
	keep  int // bytes of piece that come again

	spent, waited, requests atomic.Int64           // of the calls
	failure                 atomic.Pointer[string] // what the calls failed with
}

const (
	// pieceSize is how much content is read for a piece at most, in bytes.
	pieceSize = 32 << 10
	// smallBody is up to which announced length content is filtered before the head
	// goes on, by a plugin that may change it: then there is a length again. Bytes.
	smallBody = 64 << 10
)

var errGrown = fmt.Errorf("the content has become more than %d bytes", abi.MaxBody)

// pieceABI is a guestABI with the roles request_body and response_body.
type pieceABI interface {
	// requestPiece has the guest look at in.piece and returns its verdict, abi.Continue
	// or abi.Refuse; any other number is a failure.
	requestPiece(in *instance) (verdict int32, err error)
	// responsePiece is the same for responses, which can't be refused any more.
	responsePiece(in *instance) (verdict int32, err error)
}

// pieceFilter is what the steps of the two roles have in common.
type pieceFilter struct {
	step
	call   func(*instance) (verdict int32, err error)
	writes bool // the guest may change content, and so its length
}

func (p *plugin) newPieceFilter(b proxy.Build, role uint32, call func(*instance) (int32, error)) pieceFilter {
	f := pieceFilter{step: p.newStep(b, role, shortTimeout), call: call, writes: p.module.importsAny(abi.Module, "chunk_write")}
	f.optional = p.optional
	return f
}

// of returns content of ex as f's guest lets it go on: under's, or content without one.
func (f *pieceFilter) of(ctx context.Context, ex *proxy.Exchange, under proxy.Body, content []byte, length int64) *passage {
	p := &passage{filter: f, ctx: ctx, ex: ex, bag: f.plugin.bagOf(ex).share(), under: under, left: length}
	if under == nil {
		p.buf = content
	}
	return p
}

// small reports whether content under way is worth waiting for.
func (f *pieceFilter) small(length int64) bool { return f.writes && length >= 0 && length <= smallBody }

// requestPieces is the step of a plugin that sees requests' content in pieces.
type requestPieces struct{ pieceFilter }

// Run puts the plugin in the way of the content.
func (f *requestPieces) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in := &ex.In
	under := in.Body
	if in.Whole {
		under = nil
	}
	if under == nil && len(in.Content) == 0 {
		return proxy.Continue, nil
	}
	p := f.of(ctx, ex, under, in.Content, in.Length)
	if under != nil && !f.small(in.Length) {
		ex.Keep((*piecesKey)(f), p)
		in.Body, p.away = p, true
		if f.writes {
			in.Length = http1.Unknown
		}
		return proxy.Continue, nil
	}
	content, err := p.all()
	p.settle()
	if err != nil {
		return proxy.Continue, err
	}
	in.Content, in.Whole, in.Body, in.Length = content, true, nil, int64(len(content))
	return proxy.Continue, nil
}

// piecesKey is a requestPieces as the key of an exchange's content.
type piecesKey requestPieces

// pieceNotes is the step that tells the access record what became of content that
// another goroutine has read.
type pieceNotes struct{ of *requestPieces }

// Run fills Notes.
func (n pieceNotes) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if p, _ := ex.Kept((*piecesKey)(n.of)).(*passage); p != nil {
		p.settle()
	}
	return proxy.Continue, nil
}

// StepName implements proxy.NamedStep.
func (n pieceNotes) StepName() string { return n.of.StepName() }

// responsePieces is the step of a plugin that sees responses' content in pieces.
type responsePieces struct{ pieceFilter }

// Run puts the plugin in the way of the content.
func (f *responsePieces) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	reply := &ex.Reply
	under := reply.Body
	if under == nil && len(reply.Content) == 0 || ex.In.Method == "HEAD" || reply.Status == 101 || withoutContent(reply.Status) {
		return proxy.Continue, nil
	}
	p := f.of(ctx, ex, under, reply.Content, reply.Length)
	if under != nil && !f.small(reply.Length) {
		reply.Body, p.away = p, true
		if f.writes {
			reply.Length = http1.Unknown
		}
		return proxy.Continue, nil
	}
	content, err := p.all()
	p.settle()
	if err != nil {
		return proxy.Continue, err
	}
	if under != nil && len(under.Trailers()) > 0 { // they come only behind content that streams
		reply.Body, reply.Content, reply.Length = &trailed{content: content, under: under}, nil, http1.Unknown
		return proxy.Continue, nil
	}
	reply.Content, reply.Body, reply.Length = content, nil, int64(len(content))
	return proxy.Continue, nil
}

// trailed is content that is here, with the trailer fields of the body that it was.
type trailed struct {
	content []byte
	under   proxy.Body
}

// Read implements io.Reader.
func (t *trailed) Read(p []byte) (int, error) {
	if len(t.content) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.content)
	t.content = t.content[n:]
	return n, nil
}

// Buffered returns how many bytes Read gives without waiting.
func (t *trailed) Buffered() int { return len(t.content) }

// Trailers implements proxy.Body.
func (t *trailed) Trailers() http1.Fields { return t.under.Trailers() }

// all returns what the guest lets go on of all the content.
func (p *passage) all() ([]byte, error) {
	most := max(abi.MaxBody, len(p.buf))
	var whole []byte
	for !p.over {
		if err := p.advance(); err != nil {
			return nil, p.unread(err)
		}
		if len(whole)+len(p.ready) > most {
			return nil, p.blame(&failure{"answer", errGrown})
		}
		whole = append(whole, p.ready...)
	}
	if p.under == nil && !p.altered {
		return p.buf, nil
	}
	return whole, nil
}

// unread is err, which ended content before its time, as a fault.
func (p *passage) unread(err error) error {
	switch _, fault := err.(proxy.Fault); {
	case fault:
		return err
	case p.filter.phase == abi.RequestBody:
		return proxy.Fault{Kind: proxy.BadRequest, Cause: fmt.Errorf("read the request body: %w", err)}
	}
	return proxy.Fault{Kind: proxy.BadIntegration, Cause: fmt.Errorf("read the answer's content: %w", err)}
}

// Read implements proxy.Body: the content as the guest lets go of it.
func (p *passage) Read(to []byte) (int, error) {
	for len(p.ready) == 0 {
		switch {
		case p.err != nil:
			return 0, p.err
		case p.over:
			return 0, io.EOF
		case len(to) == 0:
			return 0, nil
		}
		p.err = p.advance()
	}
	n := copy(to, p.ready)
	p.ready = p.ready[n:]
	return n, nil
}

// Buffered returns how many bytes Read gives without waiting, or fewer.
func (p *passage) Buffered() int { return len(p.ready) }

// Trailers implements proxy.Body.
func (p *passage) Trailers() http1.Fields { return p.under.Trailers() }

// Abort makes a Read that waits fail, as that of the message's own Body would.
func (p *passage) Abort() {
	if a, ok := p.under.(interface{ Abort() }); ok {
		a.Abort()
	}
}

// Continue tells the sender of the message's own Body to send it, if that waits for
// leave.
func (p *passage) Continue() error {
	if c, ok := p.under.(interface{ Continue() error }); ok {
		return c.Continue()
	}
	return nil
}

// advance has the guest look at the next piece. ready is then what goes on of it,
// until the next call.
func (p *passage) advance() error {
	p.ready = nil
	if err := p.fill(); err != nil {
		return err
	}
	p.over = p.last
	if p.unlooked || len(p.piece) == 0 && !p.begun { // an empty message is nobody's business
		p.ready, p.keep = p.piece, 0
		return nil
	}
	err := p.show()
	if err != nil {
		return p.blame(err)
	}
	return nil
}

// fill takes the next piece: what was held back, and what comes.
func (p *passage) fill() error {
	if p.under == nil {
		from := p.next - p.keep
		p.next = min(p.next+pieceSize, len(p.buf))
		p.piece, p.last = p.buf[from:p.next], p.next == len(p.buf)
		return nil
	}
	held, room := p.piece[len(p.piece)-p.keep:], pieceSize
	if p.left >= 0 && p.left < pieceSize {
		room = int(p.left) + 1 // one more, to be told of the end
	}
	if size := len(held) + room; cap(p.buf) < size {
		p.buf = append(make([]byte, 0, size), held...)
	} else {
		p.buf = p.buf[:copy(p.buf[:cap(p.buf)], held)]
	}
	n, err := p.pull(p.buf[len(p.buf) : len(p.buf)+room])
	p.buf = p.buf[:len(p.buf)+n]
	p.piece, p.last = p.buf, err == io.EOF
	if err == io.EOF {
		return nil
	}
	return err
}

// pull reads some content. With the last byte of an announced length it returns
// io.EOF.
func (p *passage) pull(to []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, err = p.under.Read(to)
	}
	if p.left < 0 || err != nil {
		return n, err
	}
	if p.left -= int64(n); p.left == 0 && n < len(to) { // a body says that it is over when it is asked again
		more := 0
		more, err = p.under.Read(to[n:])
		n += more
	}
	return n, err
}

// show runs a call of the guest about piece.
func (p *passage) show() error {
	f := p.filter
	in, err := p.take()
	if err != nil {
		return err
	}
	p.begun = true
	in.begin(f.phase, p.ex, f.variables, f.limit)
	in.caller, in.account, in.piece, in.late = p.ctx, f.account, p, p.away
	p.read, p.out, p.wrote, p.keep = 0, p.out[:0], false, 0
	verdict, err := f.call(in)
	message := in.draft.message
	f.plugin.give(in, err)
	switch {
	case err != nil:
		return err
	case verdict == abi.Refuse:
		return proxy.Fault{Kind: proxy.AccessDenied, Message: message, Cause: fmt.Errorf("plugin %q, %s: refused", f.plugin.name, f.role)}
	case p.wrote:
		p.ready, p.altered = p.out, true
	default:
		p.ready = p.piece[:len(p.piece)-p.keep]
	}
	return nil
}

// take takes an instance. Who has begun is as good as admitted: to the plugin's
// pace an exchange is one call.
func (p *passage) take() (*instance, error) {
	plugin := p.filter.plugin
	if !p.begun {
		return plugin.take(p.ctx)
	}
	in, err := plugin.acquire(p.ctx)
	if errors.As(err, new(*failure)) {
		plugin.count(err)
		plugin.report(err)
		plugin.tellBreaker(failing, err)
	}
	return in, err
}

// blame is what err makes of the message: nil if it goes on without the guest, as
// on_error wants it and as long as the guest has changed nothing of it.
func (p *passage) blame(err error) error {
	f := p.filter
	what, fault := f.faultOf(err, proxy.PluginFailure, proxy.PluginTimeout)
	if what != "" {
		p.failure.CompareAndSwap(nil, &what)
		if f.phase == abi.ResponseBody {
			p.settle()
		}
	}
	if what != "" && f.optional && !p.altered {
		p.unlooked, p.ready, p.keep = true, p.piece, 0
		return nil
	}
	return fault
}

// count notes what a call has cost. A response's are told to the record at once:
// the pipeline may be over.
func (p *passage) count(took, waited time.Duration, requests int64) {
	p.spent.Add(int64(took))
	p.waited.Add(int64(waited))
	p.requests.Add(requests)
	if p.filter.phase == abi.ResponseBody {
		p.settle()
	}
}

// settle tells the access record what the calls since have cost, and which failed.
// Only the pipeline's goroutine calls it, or the one that sends the reply.
func (p *passage) settle() {
	notes, what, spent := &p.ex.Notes, p.failure.Load(), p.spent.Swap(0)
	if what == nil && spent == 0 {
		return // there was no call
	}
	if notes.PluginFailure == "" {
		notes.Plugin, notes.PluginRole = p.filter.plugin.name, p.filter.role
	}
	if what != nil {
		p.filter.note(notes, *what)
	}
	notes.PluginTime += time.Duration(spent)
	notes.PluginWaiting += time.Duration(p.waited.Swap(0))
	notes.PluginRequests += int(p.requests.Swap(0))
}

// The functions about pieces of content; those that the role integrate has too go on
// in body_answer.go.

func (in *instance) chunkRead(to []byte) int32 {
	p := in.piece
	if p == nil {
		return in.pullContent(to)
	}
	n := copy(to, p.piece[p.read:])
	p.read += n
	return int32(n)
}

func (in *instance) chunkWrite(b []byte) int32 {
	p := in.piece
	switch {
	case p == nil:
		return in.sendContent(b)
	case len(p.out)+len(b) > abi.MaxPiece:
		return abi.Limit
	}
	p.out, p.wrote = append(p.out, b...), true
	return abi.OK
}

func (in *instance) chunkKeep(n int32) int32 {
	p := in.piece
	switch {
	case p == nil:
		return abi.WrongPhase
	case n < 0:
		return abi.BadArgument
	case n > abi.MaxPiece:
		return abi.Limit
	case n > 0 && p.last, int(n) > len(p.piece):
		return abi.Denied
	}
	p.keep = int(n)
	return abi.OK
}

func (in *instance) chunkLen() int32 {
	if in.piece == nil {
		return abi.WrongPhase
	}
	return int32(len(in.piece.piece))
}

func (in *instance) chunkLast() int32 {
	switch {
	case in.piece == nil:
		return abi.WrongPhase
	case in.piece.last:
		return 1
	}
	return 0
}
