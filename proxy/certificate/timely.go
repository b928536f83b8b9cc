package certificate

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// timely is a body that has to come in time: an authority that sends a byte now and
// then would keep a worker busy that others wait for.
type timely struct {
	io.ReadCloser
	timer *time.Timer
	late  atomic.Bool
}

var errLate = errors.New("the answer didn't come in time")

// newTimely returns body, of which nothing can be read once d is over. It has to be
// closed.
func newTimely(body io.ReadCloser, d time.Duration) *timely {
	t := &timely{ReadCloser: body}
	t.timer = time.AfterFunc(d, func() {
		t.late.Store(true)
		_ = body.Close() // and so ends whoever reads
	})
	return t
}

func (t *timely) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil && err != io.EOF && t.late.Load() {
		err = errLate
	}
	return n, err
}

func (t *timely) Close() error {
	t.timer.Stop()
	return t.ReadCloser.Close()
}
