package observe

import (
	"context"
	"sync"

	"github.com/postern-gateway/postern/proxy"
)

// Witness returns the steps by which the execution log learns of content that streams:
// they remember how it begins. They are the last ones of their phases; there are none
// unless the log is to have content.
func (m *method) Witness() proxy.Steps {
	if m.level != levelInfo || !m.data {
		return proxy.Steps{}
	}
	return proxy.Steps{
		proxy.MethodRequest:      witness(ofRequest),
		proxy.IntegrationRequest: witness(ofOutgoing),
		proxy.Integration:        witness(ofAnswer),
		proxy.MethodResponse:     witness(ofReply),
	}
}

// witness is which content a step remembers.
type witness uint8

const (
	ofRequest witness = iota
	ofOutgoing
	ofAnswer
	ofReply
	witnesses
)

// seen is what was remembered of an exchange's content; nil where none streamed.
type seen [witnesses]*passing

type seenKey struct{}

// Run implements proxy.Step.
func (w witness) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	var body *proxy.Body
	switch w {
	case ofRequest:
		if body = &ex.In.Body; ex.In.Whole {
			return proxy.Continue, nil
		}
	case ofOutgoing:
		body = &ex.Out.Body
	case ofAnswer:
		body = &ex.Back.Body
	case ofReply:
		body = &ex.Reply.Body
	}
	if *body == nil {
		return proxy.Continue, nil
	}
	all, is := ex.Kept(seenKey{}).(*seen)
	if !is {
		all = &seen{}
		ex.Keep(seenKey{}, all)
	}
	if same, is := (*body).(*passing); is { // it streams through: it is the same at both ends
		all[w] = same
		return proxy.Continue, nil
	}
	all[w] = &passing{Body: *body}
	*body = all[w]
	return proxy.Continue, nil
}

// passing is content that is remembered while it streams.
type passing struct {
	proxy.Body

	mu     sync.Mutex // an upload may outlast the answer; guards what follows
	begin  []byte     // up to one byte more than a line has
	length int64
}

// remember takes what was read.
func (p *passing) remember(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.length += int64(len(b))
	if room := longestDump + 1 - len(p.begin); room > 0 {
		p.begin = append(p.begin, b[:min(len(b), room)]...)
	}
}

// text returns how the content begins.
func (p *passing) text() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begin
}

// Read implements io.Reader.
func (p *passing) Read(b []byte) (int, error) {
	n, err := p.Body.Read(b)
	p.remember(b[:n])
	return n, err
}

// TryRead reads what is here already, nothing where that can't be told.
func (p *passing) TryRead(b []byte) (int, error) {
	body, can := p.Body.(interface {
		TryRead(p []byte) (int, error)
	})
	if !can {
		return 0, nil
	}
	n, err := body.TryRead(b)
	p.remember(b[:n])
	return n, err
}

// Arrived returns all of the content if it is here, else nil.
func (p *passing) Arrived() []byte {
	body, can := p.Body.(interface{ Arrived() []byte })
	if !can {
		return nil
	}
	content := body.Arrived()
	if len(p.text()) == 0 { // else it was asked before
		p.remember(content)
	}
	return content
}

// Continue asks the client for the content that it waits with. RFC 9110, 10.1.1.
func (p *passing) Continue() error {
	if body, waits := p.Body.(interface{ Continue() error }); waits {
		return body.Continue()
	}
	return nil
}

// Abort gives the content up.
func (p *passing) Abort() {
	if body, can := p.Body.(interface{ Abort() }); can {
		body.Abort()
	}
}

var _ proxy.Step = witness(0)
