package proxy

import "context"

// Function answers events with documents, both of them JSON: what a Lambda
// function is on AWS.
type Function interface {
	// Invoke hands the function an event that is about ex and returns its answer,
	// which the caller may keep. It reads of ex what a plugin may see of a request
	// before its integration, and notes in it what observe wants to know.
	//
	// The error is a *FunctionError when the function itself says that it failed, a
	// Fault Overloaded or ClientGone, or says why there is no answer. Safe for
	// concurrent use.
	Invoke(ctx context.Context, ex *Exchange, event []byte) (answer []byte, err error)

	// Version changes with everything that what it answers may depend on, but for
	// the event, as far as the gateway knows of it. It may hold secrets.
	Version() string
}

// FunctionError is what a function says when it fails: the errorMessage of a
// Lambda function.
type FunctionError struct{ Message string }

// Error returns the message.
func (e *FunctionError) Error() string { return e.Message }
