package plugins

import (
	"errors"
	"strings"

	"go.uber.org/zap"
)

// cutOff is why a guest's call ended before its time, and where it was.
type cutOff struct {
	err   error
	text  string
	trace []string // functions of the guest, innermost first
}

// newCutOff takes wazero's error apart: a line, and a stack trace of functions
// with the names that the module's name section gives them.
func newCutOff(err error) *cutOff {
	text, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	text, _, _ = strings.Cut(strings.TrimSuffix(text, " (recovered by wazero)"), "\n")
	c := &cutOff{err: err, text: text}
	for line := range strings.Lines(trace) {
		line = strings.TrimPrefix(strings.TrimSpace(line), ".") // instances have no name of their own
		if line != "" && !strings.HasPrefix(line, "postern_meter.") {
			c.trace = append(c.trace, line)
		}
	}
	return c
}

func (c *cutOff) Error() string {
	if len(c.trace) == 0 {
		return c.text
	}
	return c.text + ", in " + c.trace[0]
}

func (c *cutOff) Unwrap() error { return c.err }

// report logs a call that was cut off, for who has to mend the plugin. The
// access record has no room for a trace.
func (p *plugin) report(err error) {
	var c *cutOff
	if !errors.As(err, &c) {
		return
	}
	if lost, ok := p.logs.admit(p.host.now()); ok {
		p.logger.Warn("plugin was cut off", zap.Error(err), zap.Strings("trace", c.trace), zap.Uint64("lost_before", lost))
	}
}
