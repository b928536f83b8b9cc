package plugins

import (
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/sdk/abi"
)

// decided reads an authorizer's decision that is an object:
//
//	{"allow": true, "principal": "anna", "context": {"level": 3}}
//	{"allow": false, "status": 401, "message": "who are you?"}
//
// allow and principal have the names that AWS gives them, too: isAuthorized and
// principalId. Without allow, it is no permission. Other members are for others.
func (in *instance) decided(d *document.Document, n document.Node) (decision int32, err error) {
	if d.Kind(n) != document.Object {
		return 0, &failure{"answer", errors.New("the decision is neither true nor false nor an object")}
	}
	v := verdict{decision: abi.Deny}
	for i := range d.Count(n) {
		if err := v.read(in, d, d.At(n, i)); err != nil {
			return 0, &failure{"answer", err}
		}
	}
	if v.allow {
		return abi.Allow, nil
	}
	return v.decision, nil
}

// verdict is a decision of which some members have been read.
type verdict struct {
	allow    bool
	decision int32 // if it isn't allow
}

func (v *verdict) read(in *instance, d *document.Document, n document.Node) error {
	name, text, code := d.Name(n), d.Text(n), int32(abi.OK)
	wants := document.String
	switch name {
	case "allow", "isAuthorized":
		wants = document.Boolean
		v.allow = text == "true"
	case "principal", "principalId":
		code = in.setPrincipal(text)
	case "message":
		code = in.setPart(abi.FieldMessage, text)
	case "status":
		wants = document.Number
		switch text {
		case "401":
			v.decision = abi.Unauthenticated
		case "200", "403":
		default:
			return errors.New("status is neither 401 nor 403")
		}
	case "context":
		wants = document.Object
		code = in.setContexts(d, n)
	case "policyDocument":
		return errors.New("a policyDocument isn't read here: say isAuthorized")
	default:
		return nil
	}
	switch {
	case d.Kind(n) != wants:
		return fmt.Errorf("%s is of a wrong type", name)
	case code == abi.Limit:
		return fmt.Errorf("%s is too long", name)
	case code != abi.OK:
		return fmt.Errorf("%s isn't made of texts, numbers and booleans with names", name)
	}
	return nil
}

// setContexts sets the entries of an object. AWS: texts, numbers and booleans, as
// texts.
func (in *instance) setContexts(d *document.Document, n document.Node) int32 {
	for i := range d.Count(n) {
		entry := d.At(n, i)
		if k := d.Kind(entry); k != document.String && k != document.Number && k != document.Boolean {
			return abi.BadArgument
		}
		if code := in.setContext(d.Name(entry), d.Text(entry)); code != abi.OK {
			return code
		}
	}
	return abi.OK
}
