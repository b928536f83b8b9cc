package plugins

import (
	"bytes"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/sdk/abi"
)

// logLimit bounds a plugin's log lines over all its instances: logBurst at once
// and logRate a second.
type logLimit struct {
	mu     sync.Mutex // guards what follows
	tokens float64
	last   int64 // nanoseconds of the host's monotonic time; 0 before the first line
	lost   uint64
}

const (
	logRate  = 100.0
	logBurst = 500.0
)

// admit reports whether a line may be written now, and if so, how many were
// lost since the last one.
func (l *logLimit) admit(now int64) (lost uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == 0 {
		l.tokens = logBurst
	} else {
		l.tokens = min(logBurst, l.tokens+float64(now-l.last)*logRate/1e9)
	}
	l.last = now
	if l.tokens < 1 {
		l.lost++
		return 0, false
	}
	l.tokens--
	lost, l.lost = l.lost, 0
	return lost, true
}

// level translates a number of the ABI.
func level(n uint64) (zapcore.Level, bool) {
	switch int32(n) {
	case abi.LevelDebug:
		return zapcore.DebugLevel, true
	case abi.LevelInfo:
		return zapcore.InfoLevel, true
	case abi.LevelWarn:
		return zapcore.WarnLevel, true
	case abi.LevelError:
		return zapcore.ErrorLevel, true
	}
	return 0, false
}

// log writes one line of the guest's. It reports whether the call may write
// more; the limit is for the call, whether or not the level is switched on.
func (in *instance) log(level zapcore.Level, text []byte) bool {
	if in.logLines >= abi.MaxLogLines {
		in.plugin.counters.logsLost.Add(1)
		return false
	}
	in.logLines++
	p := in.plugin
	entry := p.logger.Check(level, "plugin says")
	if entry == nil {
		return true
	}
	lost, ok := p.logs.admit(p.host.now())
	if !ok {
		p.counters.logsLost.Add(1)
		return true
	}
	if len(text) > abi.MaxLogLine {
		text = text[:abi.MaxLogLine]
	}
	fields := []zap.Field{zap.String("plugin", p.name), zap.ByteString("text", bytes.Clone(text))}
	if in.ex != nil {
		fields = append(fields, zap.String("request_id", strings.Clone(in.ex.ID)))
	}
	if lost > 0 {
		fields = append(fields, zap.Uint64("lost_before", lost))
	}
	entry.Write(fields...)
	return true
}

// print takes bytes of the guest's standard output or error apart into lines.
func (in *instance) print(b []byte) {
	for len(b) > 0 {
		part, rest, whole := bytes.Cut(b, []byte{'\n'})
		if room := abi.MaxLogLine - len(in.line); len(part) > room {
			part = part[:room]
		}
		in.line = append(in.line, part...)
		if whole {
			in.flushLine()
		}
		b = rest
	}
}

// flushLine logs what print has of a line.
func (in *instance) flushLine() {
	if len(in.line) > 0 {
		in.log(zapcore.InfoLevel, in.line)
	}
	in.line = in.line[:0]
}

// explain tells, at the level debug, why a host function returned a code.
func (in *instance) explain(function string, err error) {
	if in.plugin.logger.Core().Enabled(zapcore.DebugLevel) {
		in.log(zapcore.DebugLevel, []byte(function+": "+err.Error()))
	}
}
