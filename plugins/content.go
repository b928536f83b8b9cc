package plugins

import (
	"fmt"
	"io"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// contentOf returns the content of one side as it was when the call began. It is
// all there: a step whose guest reads content has the pipeline, or readReply, read
// them first.
func (in *instance) contentOf(s side) []byte {
	switch s {
	case requestSide:
		return in.ex.In.Content
	case backendSide:
		return in.ex.Out.Content
	}
	return in.ex.Reply.Content
}

// readContent copies the next bytes of the old content to b.
func (in *instance) readContent(s side, b []byte) int32 {
	content := in.contentOf(s)
	n := copy(b, content[min(in.draft.read[s], len(content)):])
	in.draft.read[s] += n
	return int32(n)
}

// writeContent appends to the new content.
func (in *instance) writeContent(s side, b []byte) int32 {
	d := &in.draft
	if len(d.content[s])+len(b) > abi.MaxBody {
		return abi.Limit
	}
	d.content[s] = append(d.content[s], b...)
	d.changes |= changedContent << s
	return abi.OK
}

// resetContent makes the new content empty and begins reading again.
func (in *instance) resetContent(s side) {
	d := &in.draft
	d.content[s], d.read[s] = d.content[s][:0], 0 // the memory is the call's until it is committed
	d.changes |= changedContent << s
}

// readReply reads a reply's content whole, so that a guest can see it.
func readReply(ex *proxy.Exchange) error {
	reply := &ex.Reply
	if reply.Body == nil || reply.Status == 101 {
		return nil
	}
	if reply.Length > abi.MaxBody {
		return errReplySize
	}
	content := make([]byte, 0, max(512, reply.Length+1)) // one more, so that EOF needs no growth
	for {
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
		n, err := reply.Body.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case len(content) > abi.MaxBody:
			return errReplySize
		case err == io.EOF:
			reply.Content, reply.Body, reply.Length = content, nil, int64(len(content))
			return nil
		case err != nil:
			return fmt.Errorf("read the answer's content: %w", err)
		}
	}
}
