package proxy

import (
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
)

// apigwRequestID is the only field of its own that an HTTP API's reply has. AWS: "HTTP API
// access log variables", as seen.
var apigwRequestID = http1.NewField("Apigw-Requestid", "")

// finishHTTP adds the field to the reply, in place of what others say by its name.
func (ex *Exchange) finishHTTP() {
	id := apigwRequestID
	id.Value = ex.ID
	fields := ex.Reply.Fields
	for i := range fields {
		if len(fields[i].Name) == len(id.Name) && strings.EqualFold(fields[i].Name, id.Name) {
			fields = slices.DeleteFunc(fields, func(f http1.Field) bool { return strings.EqualFold(f.Name, id.Name) })
			break
		}
	}
	ex.Reply.Fields = append(fields, id)
}

// inHTTPAPI makes f what the clients of an HTTP API get to know of it: one of a few statuses
// with one fixed message each. AWS: "Choose between REST APIs and HTTP APIs": nothing of it
// can be changed.
func (f *Fault) inHTTPAPI() (status int) {
	status, f.Message = f.Kind.inHTTPAPI()
	return status
}

func (k FaultKind) inHTTPAPI() (status int, message string) {
	switch k {
	case MissingAuthenticationToken, AccessDenied, InvalidAPIKey, InvalidSignature, IncompleteSignature, UnrecognizedClient,
		ExpiredToken, WAFFiltered, Forbidden:
		return 403, "Forbidden"
	case Unauthorized, ExpiredIdentity:
		return 401, "Unauthorized"
	case ResourceNotFound, UnknownAPI:
		return 404, "Not Found"
	case Throttled, QuotaExceeded:
		return 429, "Too Many Requests"
	case RequestTooLarge:
		return 413, "Request Entity Too Large"
	case IntegrationTimeout, PluginTimeout, IntegrationFailure, Overloaded:
		return 503, "Service Unavailable"
	case BadRequest, BadRequestBody, BadRequestParameters:
		return 400, "Bad Request"
	case HeadTooLarge, URITooLong, RequestTimeout, UnknownCoding, UnknownVersion, Misdirected, UnsupportedMediaType, ClientGone:
		row := k.row()
		return row.status, row.message
	}
	return 500, "Internal Server Error"
}
