package authorizer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/sigv4"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// IAM returns the authorizer type iam: callers are the principals whose access keys
// sign requests. AWS: "Control access to a REST API with IAM permissions".
//
// What a caller may do is for Caller.Policy to say, and for whoever judges by it.
func IAM() proxy.Kind {
	return proxy.Kind{Name: "iam", Role: proxy.AuthorizerKind, New: newIAM}
}

func newIAM(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	a := o.Authorizer
	if len(a.IdentitySource) > 0 {
		return proxy.Steps{}, &config.KeyError{Path: []string{"identity_source"}, Text: `type "iam" knows callers by their signature`, Hint: "remove it"}
	}
	all := principalsOf(b, o.Config)
	if len(all.byKey) == 0 {
		return proxy.Steps{}, &config.KeyError{Text: "there is no [principal.…] that could sign", Hint: "add one with its access_keys"}
	}
	service := a.Service
	if service == "" {
		service = "execute-api"
	}
	region := b.Route.Stage.API.Region
	verifier := b.Shared(verifierKey{region, service, a.NormalizePath}, func() any {
		return sigv4.NewVerifier(region, service, a.NormalizePath)
	}).(*sigv4.Verifier)
	return proxy.Steps{proxy.MethodRequest: &iam{verifier: verifier, callers: all.byKey, unsigned: a.UnsignedPayload}}, nil
}

// verifierKey is the key under which routes share a verifier.
type verifierKey struct {
	region, service string
	normalize       bool
}

// iam is the method request step of a route for callers who sign.
type iam struct {
	verifier *sigv4.Verifier
	callers  map[string]*caller
	unsigned bool // content may come unsigned
}

// NeedsCodedBody has content codings taken off after this step only: what is signed
// is what was sent.
func (a *iam) NeedsCodedBody() {}

// Run lets those pass who signed all that the gateway goes by.
func (a *iam) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in := &ex.In
	check, err := a.verifier.Begin(sigv4.Request{
		Method: in.Method, Path: in.Path, Query: in.RawQuery, Host: host(ex), Fields: in.Fields,
	})
	if err != nil {
		return proxy.Continue, signatureFault(err)
	}
	defer check.End()
	who, err := a.identify(ex, check)
	if err != nil {
		f := signatureFault(err)
		if f.Cause != nil {
			f.Cause = fmt.Errorf("access key %q: %w", check.KeyID, f.Cause)
		}
		return proxy.Continue, f
	}
	if check.Presigned {
		in.RawQuery = ex.Text.Finish(sigv4.Unsigned(ex.Text.Begin(), in.RawQuery))
		in.HasQuery = in.RawQuery != ""
	}
	ex.Caller.Identity = who.identity
	ex.Caller.Principal = who.identity.User
	ex.Caller.Policy = who.policies
	return proxy.Continue, nil
}

// identify returns who signed the request. The error is a Fault, or a *sigv4.Error.
func (a *iam) identify(ex *proxy.Exchange, check *sigv4.Check) (*caller, error) {
	who := a.callers[check.KeyID]
	if who == nil || who.disabled {
		return nil, proxy.Fault{Kind: proxy.UnrecognizedClient, Cause: errKey}
	}
	// The verb that counts must be one that the caller asked for.
	if ex.In.Fields.HasKnown(http1.XHTTPMethodOverride) && !check.Signs(http1.XHTTPMethodOverride.String()) {
		return nil, proxy.Fault{Kind: proxy.InvalidSignature, Cause: errOverride}
	}
	// What counts is when the request came: content may take its time.
	if err := check.Admit(who.key, ex.Start); err != nil {
		return nil, err
	}
	return who, a.verify(ex, check, who.key)
}

// verify checks the signature and the content that it covers. What says beforehand
// which content it will be isn't read unless that is signed.
//
// AWS documents unsigned content and chunks for S3 only, and API Gateway hashes
// whatever content came. Differs from AWS: signed chunks are taken, because each is
// checked; unsigned content is where the configuration says so.
func (a *iam) verify(ex *proxy.Exchange, check *sigv4.Check, key *sigv4.Key) error {
	switch payload := check.Payload; {
	case check.Chunked():
		if payload == sigv4.UnsignedChunksTrailer && !a.unsigned {
			return proxy.Fault{Kind: proxy.InvalidSignature, Cause: errUnsigned}
		}
		if err := check.Verify(key, payload); err != nil {
			return err
		}
		return takeChunks(ex, check, key)
	case payload == sigv4.UnsignedPayload:
		if !a.unsigned {
			return proxy.Fault{Kind: proxy.InvalidSignature, Cause: errUnsigned}
		}
		return check.Verify(key, payload)
	case payload == "":
		hash, err := contentHash(ex)
		if err != nil {
			return err
		}
		return check.Verify(key, hash)
	default:
		if err := check.Verify(key, payload); err != nil {
			return err
		}
		if hash, err := contentHash(ex); err != nil {
			return err
		} else if hash != payload {
			return proxy.Fault{Kind: proxy.InvalidSignature, Cause: errContent}
		}
		return nil
	}
}

// contentHash reads the content whole and returns its SHA-256 in hexadecimal.
func contentHash(ex *proxy.Exchange) (string, error) {
	if err := ex.ReadWhole(ex.BodyLimit()); err != nil {
		return "", err
	}
	if len(ex.In.Content) == 0 {
		return sigv4.EmptyHash, nil
	}
	sum := sha256.Sum256(ex.In.Content)
	return ex.Text.Finish(hex.AppendEncode(ex.Text.Begin(), sum[:])), nil
}

// host is the authority that the request was sent to, as the client spelled it,
// unless something in front of us, which may, says otherwise.
func host(ex *proxy.Exchange) string {
	in := &ex.In
	name := in.Host
	if strings.IndexByte(name, ':') >= 0 {
		name = ex.Text.Concat("[", name, "]")
	}
	if in.Port != "" {
		name = ex.Text.Concat(name, ":", in.Port)
	}
	if sent := in.Fields.GetKnown(http1.Host); strings.EqualFold(sent, name) {
		return sent
	}
	return name
}

// signatureFault is the fault for err, a Fault or an *sigv4.Error with AWS's text.
func signatureFault(err error) proxy.Fault {
	var refused *sigv4.Error
	if !errors.As(err, &refused) {
		var f proxy.Fault
		if !errors.As(err, &f) {
			f = proxy.Fault{Kind: proxy.Internal, Cause: err}
		}
		return f
	}
	f := proxy.Fault{Message: refused.Text, Cause: refused}
	switch refused.Reason {
	case sigv4.Missing:
		f.Kind = proxy.MissingAuthenticationToken
	case sigv4.Incomplete:
		f.Kind = proxy.IncompleteSignature
	case sigv4.UnknownToken:
		f.Kind = proxy.UnrecognizedClient
	case sigv4.ExpiredToken:
		f.Kind = proxy.ExpiredToken
	default:
		f.Kind = proxy.InvalidSignature
	}
	return f
}
