package main

import (
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/observe"
)

// journal is the operator log: for eyes on a terminal, JSON elsewhere. It never
// waits for its destination.
type journal struct {
	*zap.Logger
	level zap.AtomicLevel
	sink  *observe.Sink
}

func newJournal(cfg *config.Config, s *streams) (*journal, error) {
	output := cfg.Log.Output
	sink, err := observe.NewSink(observe.SinkOptions{
		Name: "operator log", Target: output, Stdout: s.out, Stderr: s.err,
	})
	if err != nil {
		return nil, err
	}
	j := &journal{level: zap.NewAtomicLevelAt(level(cfg)), sink: sink}
	terminal := output == "stderr" && isTerminal(s.err) || output == "stdout" && isTerminal(s.out)
	j.Logger = zap.New(zapcore.NewCore(logEncoder(terminal), sink, j.level))
	return j, nil
}

// configure follows a reload.
func (j *journal) configure(cfg *config.Config) error {
	if cfg.Log.Output != j.sink.Target() {
		if err := j.sink.Switch(cfg.Log.Output); err != nil {
			return err
		}
	}
	j.level.SetLevel(level(cfg))
	return nil
}

// adopt takes what libraries write to Go's own log, such as that of QUIC, which tells
// when the kernel's buffers are small. leave gives it back.
func (j *journal) adopt() (leave func()) {
	leave, err := zap.RedirectStdLogAt(j.Logger, zapcore.WarnLevel)
	if err != nil { // for levels that aren't
		return func() {}
	}
	return leave
}

func level(cfg *config.Config) zapcore.Level {
	l, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil { // the configuration allows only levels that parse
		return zapcore.InfoLevel
	}
	return l
}

func logEncoder(terminal bool) zapcore.Encoder {
	c := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "from", MessageKey: "message", StacktraceKey: "stack",
		EncodeTime: utcTime, EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
	}
	if !terminal {
		return zapcore.NewJSONEncoder(c)
	}
	c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	c.EncodeLevel = zapcore.CapitalColorLevelEncoder
	c.ConsoleSeparator = " "
	return zapcore.NewConsoleEncoder(c)
}

// utcTime writes times as the access log does.
func utcTime(t time.Time, line zapcore.PrimitiveArrayEncoder) {
	line.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// isTerminal reports whether w shows its lines to somebody.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
