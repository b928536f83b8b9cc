package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Field is one header line of an answer.
type Field struct{ Name, Value string }

// Reply is an answer that is there or on its way. Its methods are for who has
// its session; those that wait return ErrDeadline, ErrUnavailable, ErrDenied (the
// server's address is none that is allowed) or ErrLimit.
type Reply struct {
	session *Session
	sent    int64 // bytes

	head chan struct{} // closed when what follows is known

	status int
	fields []Field // by name
	err    error   // why there is no answer

	more chan struct{} // has an element when content came, or its end

	mu      sync.Mutex // guards what follows
	content []byte
	read    int // bytes of content
	ended   bool
	failure error // what ended the content before its end
}

// Wait waits for the head of the answer.
func (r *Reply) Wait() error {
	if err := r.session.await(r.head); err != nil {
		return err
	}
	return r.err
}

// Status returns the status, once Wait has returned nil.
func (r *Reply) Status() int { return r.status }

// Fields returns the header fields in the order of their names, once Wait has
// returned nil.
func (r *Reply) Fields() []Field { return r.fields }

// Field returns the last value of a field, once Wait has returned nil.
func (r *Reply) Field(name string) (value string, found bool) {
	for i := len(r.fields) - 1; i >= 0; i-- {
		if strings.EqualFold(r.fields[i].Name, name) {
			return r.fields[i].Value, true
		}
	}
	return "", false
}

// Read is io.Reader's: it waits for content. After io.EOF comes io.EOF.
func (r *Reply) Read(p []byte) (int, error) {
	if err := r.Wait(); err != nil {
		return 0, err
	}
	for {
		n, err := r.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if err := r.session.await(r.more); err != nil {
			return 0, err
		}
	}
}

// take is Read of what is there.
func (r *Reply) take(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := copy(p, r.content[r.read:])
	r.read += n
	switch {
	case n > 0 || !r.ended:
		return n, nil
	case r.failure != nil:
		return 0, r.failure
	}
	return 0, io.EOF
}

// run fetches the answer.
func (r *Reply) run(request *http.Request) {
	answer, err := r.session.client.transport.RoundTrip(request)
	if err == nil && answer.StatusCode == http.StatusSwitchingProtocols {
		_ = answer.Body.Close() // a connection that speaks something else
		err = errors.New("the server switched protocols unasked")
	}
	if err != nil {
		r.err = judged(err)
		close(r.head)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	r.status = answer.StatusCode
	for _, name := range slices.Sorted(maps.Keys(answer.Header)) {
		for _, value := range answer.Header[name] {
			r.fields = append(r.fields, Field{name, value})
		}
	}
	close(r.head)
	if answer.ContentLength > r.session.client.size && request.Method != http.MethodHead {
		r.end(fmt.Errorf("%w: content of %d bytes", ErrLimit, answer.ContentLength))
		return
	}
	r.end(r.fetch(answer.Body, int(r.session.client.size)))
}

// fetch reads the content, of which there may be size bytes.
func (r *Reply) fetch(from io.Reader, size int) error {
	const first = 4 << 10
	for {
		if len(r.content) == cap(r.content) { // only this goroutine changes either
			grown := append(make([]byte, 0, min(max(first, 2*cap(r.content)), size+1)), r.content...)
			r.mu.Lock()
			r.content = grown
			r.mu.Unlock()
		}
		n, err := from.Read(r.content[len(r.content):cap(r.content)])
		over := len(r.content)+n > size
		if over {
			n = size - len(r.content)
		}
		r.mu.Lock()
		r.content = r.content[:len(r.content)+n]
		r.mu.Unlock()
		r.tell()
		switch {
		case over:
			return fmt.Errorf("%w: content of more than %d bytes", ErrLimit, size)
		case err == io.EOF:
			return nil
		case err != nil:
			return judged(err)
		}
	}
}

func (r *Reply) end(failure error) {
	r.mu.Lock()
	r.ended, r.failure = true, failure
	r.mu.Unlock()
	r.tell()
}

// tell wakes who waits for content.
func (r *Reply) tell() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// judged says which of the package's errors an error of net/http is.
func judged(err error) error {
	var slow net.Error
	switch {
	case errors.Is(err, ErrDenied):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("%w: %w", ErrDeadline, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
