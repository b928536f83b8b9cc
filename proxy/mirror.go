package proxy

// Mirror sends copies of a stage's requests to another stage, and compares the answers.
// Safe for concurrent use.
type Mirror interface {
	// Begin takes a copy of ex for to, if ex is one of those that are copied. It waits for
	// nothing.
	Begin(ex *Exchange, to Shadow)
	// Watch returns a step that sees each reply of a route after next, its Last; next may
	// be nil.
	Watch(next Step) Step
}

// Shadow is the stage that copies go to. Safe for concurrent use.
type Shadow interface {
	// Hold keeps the stage from being given up until Release. It reports false, and holds
	// nothing, if it is already.
	Hold() bool
	// Release ends a Hold.
	Release()
	// Enter finds the route of ex, whose Path, Method, FullPath and Domain are set. Without
	// one it returns why.
	Enter(ex *Exchange) (Fault, bool)
}
