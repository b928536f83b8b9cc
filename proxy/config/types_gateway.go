package config

import "os"

// Model is a JSON Schema that requests are checked against.
type Model struct {
	// What it is for.
	Description string `toml:"description"`
	// JSON Schema, draft-04. "$ref" leads to "#/definitions/NAME", or to another model of
	// the API: "https://apigateway.amazonaws.com/restapis/ID/models/NAME".
	Schema Document `toml:"schema" short:"text" required:"true" example:"{ file = \"pet.json\" }" aka:"content,json,body"`
}

// Document is a text, or where it is. A string is the text.
type Document struct {
	// The text itself.
	Text string `toml:"text" example:"{}" aka:"inline,content"`
	// A file that holds it.
	File string `toml:"file" file:"true" example:"pet.json" aka:"path"`
}

// GatewayResponse is what clients get when the gateway itself refuses or fails.
type GatewayResponse struct {
	// Status for the client. Absent: the type's own.
	Status int `toml:"status" min:"200" max:"599" aka:"statusCode,status_code,code"`
	// Header fields, as AWS writes them: "gatewayresponse.header.X" to 'literal',
	// stageVariables.Y, context.Y, method.request.header.Y, method.request.querystring.Y,
	// method.request.path.Y, or the multivalue forms of these.
	Parameters map[string]string `toml:"parameters" example:"{ \"gatewayresponse.header.X-Reason\" = \"context.error.responseType\" }" aka:"responseParameters,response_parameters,headers,header"`
	// Bodies by media type; the client's Accept chooses. They aren't mapping templates:
	// only $context.X, $stageVariables.X and $method.request.X are replaced.
	Template map[string]Document `toml:"template" short:"text" name:"[!#$%&'*+.^_|~0-9A-Za-z-]+/[!#$%&'*+.^_|~0-9A-Za-z-]+" names:"type and subtype, such as \"application/json\"" aka:"templates,responseTemplates,response_templates,body"`
}

// CORS is which pages of other origins may use an API from a browser. The gateway
// answers preflights before any authorizer, and sets the headers itself: what a backend
// says of CORS is dropped.
type CORS struct {
	// Origins: "https://app.example.com", "https://*.example.com" for all names below
	// it, "https://*" or "http://*" for all of a scheme, "null", or "*" for all.
	AllowOrigins []string `toml:"allow_origins" example:"[\"https://app.example.com\"]" aka:"allowOrigins,origins,allowed_origins,allow_origin"`
	// Methods besides GET, HEAD and POST, which browsers send unasked; "*" for all.
	// Absent: those that have a route.
	AllowMethods []string `toml:"allow_methods" example:"[\"GET\", \"PUT\"]" aka:"allowMethods,methods,allowed_methods"`
	// Request headers that pages may set; "*" for all but Authorization. Default: what
	// AWS's console suggests.
	AllowHeaders []string `toml:"allow_headers" default:"Content-Type,X-Amz-Date,Authorization,X-Api-Key,X-Amz-Security-Token" aka:"allowHeaders,headers,allowed_headers"`
	// Response headers that pages may read, besides the few that browsers show anyway;
	// "*" for all.
	ExposeHeaders []string `toml:"expose_headers" example:"[\"X-Request-Id\"]" aka:"exposeHeaders,exposed_headers"`
	// How long a browser may remember the answer to a preflight. Absent: as long as the
	// browser likes, usually 5s.
	MaxAge *Duration `toml:"max_age" min:"0s" max:"24h" example:"10m" aka:"maxAge"`
	// Let pages send cookies and HTTP authentication. Not with "*" anywhere.
	AllowCredentials bool `toml:"allow_credentials" aka:"allowCredentials,credentials"`
	// For a route: none of this, though the API has it.
	Off bool `toml:"off" aka:"disabled"`
}

// XML is a conversion of content between XML and JSON. A member is an element, "@name"
// an attribute, "#text" the text beside them, an array several elements of one name.
type XML struct {
	// Which way: "to_xml" or "to_json". Default: to_xml for requests, to_json for
	// responses.
	Convert string `toml:"convert" enum:"to_xml,to_json" example:"to_json" aka:"to,direction"`
	// Elements around the content, outermost first. To JSON takes them off, whatever
	// their prefixes.
	Wrap []string `toml:"wrap" example:"[\"soap:Envelope\", \"soap:Body\"]" aka:"root,envelope"`
	// Namespaces by prefix, "" for the default one, which the outermost element declares.
	Namespaces map[string]string `toml:"namespaces" example:"{ soap = \"http://schemas.xmlsoap.org/soap/envelope/\" }" aka:"xmlns,namespace"`
	// Content-Type of a request that is made. Default: text/xml; charset=utf-8, or
	// application/json.
	ContentType string `toml:"content_type" pattern:"[\\x20-\\x7e]+" want:"a media type" example:"application/soap+xml; charset=utf-8" aka:"contentType,media_type"`
	// Elements that become arrays even if there is only one.
	Arrays []string `toml:"arrays" example:"[\"item\"]" aka:"array,lists"`
	// Leave out prefixes, and declarations of namespaces.
	StripPrefixes bool `toml:"strip_prefixes" aka:"strip_namespaces"`
}

// Read returns the text of d, out of its file if it has one. The error is a
// *KeyError whose path is relative to d's own key.
func (d Document) Read() (string, error) {
	switch {
	case d.File != "" && d.Text != "":
		return "", &KeyError{Path: []string{"file"}, Text: "a text, and a file all the same", Hint: "remove one of the two"}
	case d.File == "":
		return d.Text, nil
	}
	text, err := os.ReadFile(d.File)
	if err != nil {
		return "", &KeyError{Path: []string{"file"}, Text: "can't read the file: " + cause(err)}
	}
	return string(text), nil
}
