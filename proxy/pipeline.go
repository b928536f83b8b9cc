package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Pipeline runs one route's steps. It is compiled at load and never changes;
// safe for concurrent use.
type Pipeline struct {
	phases    [phaseCount][]Step
	wholeBody Phase // first phase with a step that needs the whole body; phaseCount for none
}

// NewPipeline returns the pipeline that runs parts in order in each phase.
func NewPipeline(parts ...Steps) *Pipeline {
	p := &Pipeline{wholeBody: phaseCount}
	for _, part := range parts {
		for phase, step := range part {
			if step == nil {
				continue
			}
			p.phases[phase] = append(p.phases[phase], step)
			if _, whole := step.(WholeBody); whole && Phase(phase) < p.wholeBody {
				p.wholeBody = Phase(phase)
			}
		}
	}
	return p
}

// Run takes ex from method request to method response. Afterwards ex.Reply is
// complete but for content that streams, and ex.Fault says what failed, if
// anything did. bodyLimit is the most content in bytes that is read whole. A
// panic in a step costs this exchange only.
func (p *Pipeline) Run(ctx context.Context, ex *Exchange, bodyLimit int64) {
	ex.bodyLimit = bodyLimit
	if ex.Explain != nil {
		p = p.traced()
		ex.traceRoute()
		defer ex.traceReply()
	}
	if ex.Stage != nil && ex.Stage.Sampling != nil {
		ex.joinTrace(ex.Stage.Sampling)
	}
	if f, failed := p.forward(ctx, ex, bodyLimit); failed {
		ex.Fail(f)
	}
	if f, failed := p.run(ctx, ex, MethodResponse); failed {
		ex.Fail(f)
	}
	ex.finish()
	if ex.Trace.Sampled {
		ex.Times.Began[phaseCount] = time.Since(ex.Start)
	}
}

// forward runs the phases before method response, until one answers or fails.
func (p *Pipeline) forward(ctx context.Context, ex *Exchange, bodyLimit int64) (f Fault, failed bool) {
	defer func() {
		if r := recover(); r != nil {
			f, failed = panicked(r), true
		}
	}()
	for phase := MethodRequest; phase < MethodResponse; phase++ {
		if phase == p.wholeBody {
			if err := ex.ReadWhole(bodyLimit); err != nil {
				return asFault(err), true
			}
		}
		steps := p.phases[phase]
		if len(steps) == 0 {
			continue
		}
		if ex.Trace.Sampled {
			ex.Times.Began[phase] = time.Since(ex.Start)
		}
		var begin time.Time
		if phase == MethodRequest || phase == Integration {
			begin = ex.Now()
		}
		verdict, err := runAll(ctx, ex, steps)
		switch phase {
		case MethodRequest:
			ex.Times.Authorizer = ex.Now().Sub(begin)
		case Integration:
			if ex.Times.Integration == 0 {
				ex.Times.Integration = ex.Now().Sub(begin)
			}
		}
		if err != nil {
			return asFault(err), true
		}
		if verdict == Answered {
			return Fault{}, false
		}
	}
	return Fault{}, false
}

// run runs one phase with a panic boundary.
func (p *Pipeline) run(ctx context.Context, ex *Exchange, phase Phase) (f Fault, failed bool) {
	if len(p.phases[phase]) == 0 {
		return Fault{}, false
	}
	if ex.Trace.Sampled {
		ex.Times.Began[phase] = time.Since(ex.Start)
	}
	defer func() {
		if r := recover(); r != nil {
			f, failed = panicked(r), true
		}
	}()
	if _, err := runAll(ctx, ex, p.phases[phase]); err != nil {
		return asFault(err), true
	}
	return Fault{}, false
}

func runAll(ctx context.Context, ex *Exchange, steps []Step) (Verdict, error) {
	for _, step := range steps {
		verdict, err := step.Run(ctx, ex)
		if err != nil || verdict == Answered {
			return verdict, err
		}
	}
	return Continue, nil
}

func asFault(err error) Fault {
	var f Fault
	if errors.As(err, &f) {
		return f
	}
	return Fault{Kind: Internal, Cause: err}
}

func panicked(r any) Fault {
	return Fault{Kind: Internal, Cause: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
}
