package shadow

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// double is the copy of one request, and what its original was answered.
type double struct {
	mirror *mirror
	to     proxy.Shadow

	// As the client sent it.
	in                     proxy.Request
	id, extended           string
	method, path, fullPath string
	domain                 proxy.Domain
	request                content

	// What it was answered.
	status int
	fields http1.Fields
	answer content
}

type doubleKey struct{}

// newDouble copies what ex has now.
func newDouble(m *mirror, ex *proxy.Exchange, to proxy.Shadow) *double {
	in := &ex.In
	c := &double{
		mirror: m, to: to, id: strings.Clone(ex.ID), extended: strings.Clone(ex.ExtendedID),
		method: strings.Clone(ex.Method), path: strings.Clone(ex.Path), fullPath: strings.Clone(ex.FullPath), domain: ex.Domain,
		request: content{most: int(m.maxBody)}, answer: content{most: m.maxAnswer},
	}
	d := &c.domain
	d.Name, d.Prefix, d.BasePath = strings.Clone(d.Name), strings.Clone(d.Prefix), strings.Clone(d.BasePath)
	c.in = proxy.Request{
		Method: strings.Clone(in.Method), Scheme: strings.Clone(in.Scheme), Host: strings.Clone(in.Host), Port: strings.Clone(in.Port),
		Path: strings.Clone(in.Path), RawQuery: strings.Clone(in.RawQuery), HasQuery: in.HasQuery, Proto: strings.Clone(in.Proto),
		Fields: cloneFields(in.Fields), Client: in.Client, Local: in.Local, Hops: strings.Clone(in.Hops), Trusted: in.Trusted, Private: in.Private,
		TLS: in.TLS,
	}
	if in.Body != nil {
		in.Body = &tee{Body: in.Body, into: &c.request}
	} else {
		c.request.ended = true
		c.request.add(in.Content)
	}
	return c
}

func cloneFields(fields http1.Fields) http1.Fields {
	var all http1.Fields
	for i := range fields {
		all.Add(strings.Clone(fields[i].Name), strings.Clone(fields[i].Value))
	}
	return all
}

// leave takes what the original was answered, and lets the copy go its way.
func (c *double) leave(ex *proxy.Exchange) {
	r := &ex.Reply
	c.status, c.fields = r.Status, cloneFields(r.Fields)
	if r.Body == nil {
		c.answer.ended = true
		c.answer.add(r.Content)
	}
	whole := !ex.Notes.Truncated && !ex.Notes.ClientGone && r.Tunnel == nil &&
		(c.request.ended && !c.request.over) // content that the original didn't need isn't known
	if !whole {
		c.mirror.record.skipped.Add(1)
		c.end()
		return
	}
	set := c.mirror.set
	set.copies.Go(func() {
		defer c.end()
		c.run(set.ctx)
	})
}

// end gives back what the copy held.
func (c *double) end() {
	c.to.Release()
	c.mirror.record.underWay.Add(-1)
}

// run sends the copy and compares the answers.
func (c *double) run(ctx context.Context) {
	m := c.mirror
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	defer ex.End()
	began := ex.Start
	ex.ID, ex.ExtendedID, ex.In = c.id, c.extended, c.in
	ex.In.Content, ex.In.Whole, ex.In.Length = c.request.bytes, true, int64(len(c.request.bytes))
	ex.Method, ex.Path, ex.FullPath, ex.Domain = c.method, c.path, c.fullPath, c.domain
	if fault, ok := c.to.Enter(ex); ok {
		ex.Route.Pipeline.Run(ctx, ex, max(m.maxBody, 1))
	} else {
		ex.Refuse(fault)
	}
	answer := content{most: m.maxAnswer, ended: true}
	if body := ex.Reply.Body; body != nil {
		// To its end, so that the connection to the backend can be used again.
		n, err := io.Copy(&answer, body)
		ex.Notes.BytesOut = n
		if err != nil {
			ex.Interrupt(err)
			ex.Notes.Truncated = true
		}
	} else {
		answer.add(ex.Reply.Content)
		ex.Notes.BytesOut = int64(len(ex.Reply.Content))
	}
	if tunnel := ex.Reply.Tunnel; tunnel != nil {
		_ = tunnel.Close() // there is nobody to talk to
	}
	ex.Times.Total = time.Since(began)
	if ex.Stage != nil {
		ex.Stage.Recorder.Record(ex)
	}
	if m.set.ctx.Err() != nil {
		return // it was cut off
	}
	c.judge(ex, &answer)
}

// judge counts and keeps what differs.
func (c *double) judge(ex *proxy.Exchange, answer *content) {
	d := Difference{Time: time.Now().UTC(), RequestID: c.id, Method: c.method, Path: c.in.Path, Status: [2]int{c.status, ex.Reply.Status}}
	d.Headers = c.mirror.differentFields(c.fields, ex.Reply.Fields)
	switch {
	case c.answer.over && answer.over, c.method == "HEAD":
	case ex.Notes.Truncated:
		d.Body = []string{"it broke off"}
	default:
		d.Body = c.mirror.differentContent(c.fields, c.answer.bytes, ex.Reply.Fields, answer.bytes)
	}
	if d.Status[0] == d.Status[1] && len(d.Headers) == 0 && len(d.Body) == 0 {
		c.mirror.record.same.Add(1)
		return
	}
	c.mirror.record.keep(d)
}

// content is a copy of content as it passes, up to a bound.
type content struct {
	most  int
	bytes []byte
	over  bool // there was more
	ended bool // it was seen to its end
}

func (c *content) add(b []byte) {
	if n := c.most - len(c.bytes); len(b) > n {
		b, c.over = b[:max(n, 0)], true
	}
	c.bytes = append(c.bytes, b...)
}

// Write implements io.Writer.
func (c *content) Write(b []byte) (int, error) {
	c.add(b)
	return len(b), nil
}

// tee copies a body as it is read.
type tee struct {
	proxy.Body
	into *content
}

// Read implements io.Reader.
func (t *tee) Read(b []byte) (int, error) {
	n, err := t.Body.Read(b)
	t.into.add(b[:n])
	if err == io.EOF {
		t.into.ended = true
	}
	return n, err
}

// Continue asks the client for the content that it waits with. RFC 9110, 10.1.1.
func (t *tee) Continue() error {
	if body, waits := t.Body.(interface{ Continue() error }); waits {
		return body.Continue()
	}
	return nil
}

// Abort gives the content up.
func (t *tee) Abort() {
	if body, can := t.Body.(interface{ Abort() }); can {
		body.Abort()
	}
}
