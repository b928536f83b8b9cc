package sigv4

// Reason says in which way a request isn't what it should be.
type Reason uint8

// The reasons.
const (
	Missing      Reason = iota // nobody signed it
	Incomplete                 // what it says of its signature can't be read
	UnknownToken               // its access key or session token is nobody's
	ExpiredToken               // its access key is no longer good
	Mismatch                   // the signature isn't the request's, or not for now and here
)

// Error is why a request isn't accepted.
type Error struct {
	Reason Reason
	// Text is what AWS tells the client in this case; "" for what it always says for
	// the reason. It has nothing of the request in it but its date.
	Text string
}

// Error returns the reason and the text.
func (e *Error) Error() string {
	if e.Text != "" {
		return e.Text
	}
	switch e.Reason {
	case Missing:
		return "the request isn't signed"
	case Incomplete:
		return "the signature can't be read"
	case UnknownToken:
		return "the access key or its session token is unknown"
	case ExpiredToken:
		return "the access key has expired"
	}
	return "the signature isn't the request's"
}

func incomplete(text string) error { return &Error{Incomplete, text} }

func mismatch(text string) error { return &Error{Mismatch, text} }
