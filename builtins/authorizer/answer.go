package authorizer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
)

// maxContext is how many values an answer's context may have.
const maxContext = 256

// maxAnswer is how long an authorizer's answer may be, in bytes.
const maxAnswer = 256 << 10

// answer is what a function says of a caller.
type answer struct {
	principal  string
	context    []proxy.Param
	usageKey   string
	document   string // context as it stands, if it has others than texts
	refused    bool   // simply; else policy decides
	policy     proxy.Policy
	policySize int // about, in bytes
}

// The errors of answers that nothing but their shape is wrong with.
var (
	errAnswerSize   = fmt.Errorf("it has more than %d bytes", maxAnswer)
	errNoObject     = errors.New("it isn't a JSON object")
	errNoPrincipal  = errors.New("principalId isn't a text, or is empty")
	errNoPolicy     = errors.New("policyDocument isn't an object")
	errUsageKey     = errors.New("usageIdentifierKey isn't a text")
	errContext      = errors.New("context isn't an object")
	errContextSize  = fmt.Errorf("context has more than %d values", maxContext)
	errTwoAnswers   = errors.New("it has both isAuthorized and policyDocument")
	errIsAuthorized = errors.New("isAuthorized is neither true nor false")
)

// readAnswer reads a function's answer. simple says that it may be
// {"isAuthorized": …}. The error is a *proxy.FunctionError for the answer of a
// function that failed and whose runtime had no other way to say so.
//
// AWS: "Output from an API Gateway Lambda authorizer"; "Control access to HTTP APIs
// with AWS Lambda authorizers", "Lambda function response for format 2.0".
func readAnswer(text []byte, simple bool, policies access.Options) (*answer, error) {
	if len(text) > maxAnswer {
		return nil, errAnswerSize
	}
	doc, err := document.Parse(text)
	if err != nil {
		return nil, err
	}
	root := doc.Root()
	if doc.Kind(root) != document.Object {
		return nil, errNoObject
	}
	policy, hasPolicy := doc.Member(root, "policyDocument")
	allowed, isSimple := doc.Member(root, "isAuthorized")
	if said, failed := functionError(doc); failed && !hasPolicy && !isSimple {
		return nil, said
	}
	a := &answer{}
	switch {
	case isSimple && simple && hasPolicy:
		return nil, errTwoAnswers
	case isSimple && simple:
		if doc.Kind(allowed) != document.Boolean {
			return nil, errIsAuthorized
		}
		a.refused = doc.Text(allowed) != "true"
	default:
		if err := a.readPolicy(doc, policy, hasPolicy, policies); err != nil {
			return nil, err
		}
	}
	if key, found := doc.Member(root, "usageIdentifierKey"); found && doc.Kind(key) != document.Null {
		if doc.Kind(key) != document.String {
			return nil, errUsageKey
		}
		a.usageKey = doc.Text(key)
	}
	if context, found := doc.Member(root, "context"); found && doc.Kind(context) != document.Null {
		if err := a.readContext(doc, context, simple); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// functionError returns what doc says as the answer of a function that failed.
func functionError(doc *document.Document) (*proxy.FunctionError, bool) {
	said, failed := doc.Member(doc.Root(), "errorMessage")
	if !failed {
		return nil, false
	}
	return &proxy.FunctionError{Message: doc.Text(said)}, true
}

func (a *answer) readPolicy(doc *document.Document, policy document.Node, there bool, o access.Options) error {
	principal, found := doc.Member(doc.Root(), "principalId")
	if !found || doc.Kind(principal) != document.String || doc.Text(principal) == "" {
		return errNoPrincipal
	}
	a.principal = doc.Text(principal)
	if !there || doc.Kind(policy) != document.Object {
		return errNoPolicy
	}
	text := doc.Append(nil, policy)
	compiled, err := access.Compile(text, o)
	if err != nil {
		return fmt.Errorf("policyDocument: %w", err)
	}
	a.policy, a.policySize = compiled, policyGrowth*len(text)
	return nil
}

// policyGrowth is about how much larger a compiled policy is than its text.
const policyGrowth = 8

// readContext reads what an integration is to know. AWS: values are texts, numbers
// and true or false; answers to events 2.0 may have others too, which are here what
// they are in JSON.
func (a *answer) readContext(doc *document.Document, context document.Node, structured bool) error {
	if doc.Kind(context) != document.Object {
		return errContext
	}
	texts := true
	for i := range doc.Count(context) {
		member := doc.At(context, i)
		name := doc.Name(member)
		if name == "claims" || strings.HasPrefix(name, "claims.") {
			return fmt.Errorf("context has the name %q, which is for tokens whose signature was checked", name)
		}
		value := doc.Text(member)
		texts = texts && doc.Kind(member) == document.String
		switch doc.Kind(member) {
		case document.Null:
			continue
		case document.Array, document.Object:
			if !structured {
				return fmt.Errorf("context.%s is neither a text nor a number nor true or false", name)
			}
			value = string(doc.Append(nil, member))
		}
		if a.set(name, value); len(a.context) > maxContext {
			return errContextSize
		}
	}
	if structured && !texts {
		a.document = string(doc.Append(nil, context))
	}
	return nil
}

// set sets one value; the last one of a name counts.
func (a *answer) set(name, value string) {
	for i := range a.context {
		if a.context[i].Name == name {
			a.context[i].Value = value
			return
		}
	}
	a.context = append(a.context, proxy.Param{Name: name, Value: value})
}
