package config

// API is one API.
type API struct {
	// Its model: "rest" has resources, methods and the four phases; "http" has routes, and
	// little between them and their integrations; "websocket" has clients that stay connected,
	// and routes for their messages.
	Type string `toml:"type" enum:"rest,http,websocket" required:"true" example:"rest" aka:"protocol"`
	// $context.apiId. Default: the API's name.
	ID string `toml:"id" pattern:"[a-z0-9]{1,64}" want:"1 to 64 lower-case letters and digits"`
	// What it is for.
	Description string `toml:"description"`
	// Methods by route key: a verb or ANY, a space, a path. "GET /pets/{id}",
	// "ANY /files/{path+}". In APIs of type http "$default" is for what no other route takes.
	// In APIs of type websocket keys are what messages select: "join"; and "$connect",
	// "$disconnect" and "$default".
	Route map[string]Route `toml:"route" required:"true" example:"GET /" aka:"method,resource,path,endpoint"`
	// Stages by name. At least one. In APIs of type http, "$default" answers without its name
	// in the path.
	Stage map[string]Stage `toml:"stage" required:"true" example:"prod" name:"[A-Za-z0-9_-]{1,128}|\\$default" names:"1 to 128 letters, digits, \"_\" and \"-\"" aka:"environment"`
	// Authorizers of this API only.
	Authorizer map[string]Authorizer `toml:"authorizer" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\""`
	// Plugins that see requests before anything else does, in this order, and
	// responses after everything else, in reverse order.
	Filters []string `toml:"filters" for:"rest,http" ref:"plugin" example:"[\"greeter\"]" aka:"filter,plugins,middleware,middlewares"`
	// Media types whose content is bytes, not text, as AWS tells the two apart:
	// "image/png", "image/*", "*/*". Decides about content_handling and about base64 in
	// the events of functions. Absent: content passes byte by byte.
	BinaryMediaTypes []string `toml:"binary_media_types" for:"rest" instead:"in events of HTTP APIs content that isn't text is base64 without it" pattern:"\\*/\\*|[!#$%&'+.^_|~0-9A-Za-z-]+/([!#$%&'+.^_|~0-9A-Za-z-]+|\\*)" want:"a media type, such as \"image/png\", \"image/*\" or \"*/*\"" example:"[\"image/*\"]" aka:"binaryMediaTypes"`
	// Compress replies of at least this size for clients that name gzip, deflate, br or
	// zstd in Accept-Encoding, and decode requests with a Content-Encoding. Absent: off.
	MinimumCompressionSize *Size `toml:"minimum_compression_size" for:"rest,http" min:"0B" max:"10MiB" example:"1KiB" aka:"minimumCompressionSize,compression,gzip"`
	// What requests meet before any authorizer is asked, in this order, and before the
	// routes' own.
	Guards []string `toml:"guards" ref:"guard" example:"[\"polite\"]" aka:"guard,limits,rate_limit"`
	// Don't answer at the default host, {api}.<suffix>, but with 403: for an API whose
	// domains let in only some, or that isn't to be found under two names.
	DisableDefaultEndpoint bool `toml:"disable_default_endpoint" aka:"disableExecuteApiEndpoint,disable_execute_api_endpoint"`
	// From where it can be reached by whatever name: "regional", "private", "edge", or a
	// table.
	Endpoint *Endpoint `toml:"endpoint" short:"type" example:"\"private\"" aka:"endpointConfiguration,endpoint_configuration,endpoint_type"`
	// Let paths hold encoded separators (%2F, %5C, %3B) in any segment. Off: 400.
	AllowEncodedSlash bool `toml:"allow_encoded_slash" for:"rest,http"`
	// What becomes of paths with ";" or doubled slashes, which some backends read as if what
	// stands behind ";" and all slashes but one weren't there: "judge" takes those whose two
	// readings belong to one route, and policies have to allow both; "refuse" takes none,
	// "pass" all, as AWS does. What isn't taken gets 400.
	AmbiguousPaths string `toml:"ambiguous_paths" for:"rest,http" enum:"judge,refuse,pass" default:"judge"`
	// Where callers' API keys come from: the header X-API-Key, or the authorizer's
	// usageIdentifierKey.
	APIKeySource string `toml:"api_key_source" for:"rest,websocket" instead:"use an authorizer, and throttles of the stage" enum:"header,authorizer" default:"header" aka:"apiKeySource"`
	// JSON Schemas by name, for request_models.
	Model map[string]Model `toml:"model" for:"rest,websocket" instead:"let the backend judge what it gets, or a plugin that filters" name:"[A-Za-z0-9]{1,255}" names:"letters and digits" aka:"models,schema"`
	// What clients get when the gateway refuses or fails, by AWS's response type:
	// "UNAUTHORIZED", "DEFAULT_4XX", …
	GatewayResponse map[string]GatewayResponse `toml:"gateway_response" for:"rest" instead:"what HTTP APIs answer by themselves is always the same" example:"DEFAULT_4XX" aka:"gateway_responses,gatewayResponses,error_response,errors"`
	// Lets pages of other origins use the API from a browser.
	CORS *CORS `toml:"cors" for:"rest,http" example:"{ allow_origins = [\"https://app.example.com\"] }" aka:"corsConfiguration"`
	// Who may call it: a resource policy in AWS's policy language. Resources may be
	// written short: "execute-api:/STAGE/VERB/PATH".
	Policy *Policy `toml:"policy" for:"rest" instead:"use authorizers, whose policies count, and guards such as those of type \"ip\"" short:"text" example:"{ file = \"policy.json\" }" aka:"resource_policy,resourcePolicy,policies"`
	// What a message selects its route by: $request.body.PATH, or ${request.body.PATH} and
	// ${stageVariables.NAME} among text. "\\$" is a "$".
	RouteSelectionExpression string `toml:"route_selection_expression" for:"websocket" default:"$request.body.action" aka:"routeSelectionExpression,selection"`
	// Who else may use its connections, such as backends that post to them.
	Connections *Connections `toml:"connections" for:"websocket" short:"authorizer" example:"{ authorizer = \"signed\" }" aka:"manage_connections,management"`
	// Bounds of its connections.
	Socket Socket `toml:"socket" for:"websocket" aka:"limits"`
}

// Route is one method of one resource.
type Route struct {
	// Where the request goes.
	Integration Integration `toml:"integration" required:"true" example:"{ type = \"mock\" }" aka:"backend,upstream,target"`
	// Who must agree first, by name; "none" for nobody.
	Authorizer string `toml:"authorizer" ref:"authorizer"`
	// Scopes of which a caller's token must have one; at most 10. For authorizers of the
	// types jwt and cognito.
	AuthorizationScopes []string `toml:"authorization_scopes" pattern:"[!#-\\[\\]-~]{1,256}" want:"a scope: no spaces, quotes or backslashes" example:"[\"pets/read\"]" aka:"authorizationScopes,scopes,scope"`
	// Refuse callers without an API key that a plan lets in here.
	APIKeyRequired bool `toml:"api_key_required" api:"rest,websocket" instead:"use an authorizer, and throttles of the stage" aka:"apiKeyRequired,api_key"`
	// Further guards, after the API's.
	Guards []string `toml:"guards" ref:"guard" example:"[\"polite\"]" aka:"guard,limits,rate_limit"`
	// Further filters, inside the API's.
	Filters []string `toml:"filters" api:"rest,http" ref:"plugin" example:"[\"greeter\"]" aka:"filter,plugins,middleware,middlewares"`
	// Who judges the request after the authorizer. Absent: nobody.
	Validator *Validator `toml:"validator" api:"rest,websocket" instead:"let the backend judge what it gets, or a plugin that filters" example:"{ body = true, parameters = true }" aka:"request_validator,requestValidator"`
	// Models by the media type of the request's content; "$default" is for all others.
	// They count where the validator says body = true.
	RequestModels map[string]string `toml:"request_models" api:"rest,websocket" instead:"let the backend judge what it gets, or a plugin that filters" name:"[!#$%&'*+.^_|~0-9A-Za-z-]+/[!#$%&'*+.^_|~0-9A-Za-z-]+|\\$default" names:"type and subtype, such as \"application/json\", or \"$default\"" example:"{ \"application/json\" = \"Pet\" }" aka:"requestModels,model,models"`
	// Parameters that the method declares, and whether each is required:
	// method.request.header.NAME, method.request.querystring.NAME, method.request.path.NAME.
	// They count where the validator says parameters = true.
	RequestParameters map[string]bool `toml:"request_parameters" api:"rest" instead:"let the backend judge what it gets, or a plugin that filters" name:"method\\.request\\.(header|querystring|path)\\.[a-zA-Z0-9._$-]+" names:"method.request.header.NAME, method.request.querystring.NAME and method.request.path.NAME" example:"{ \"method.request.header.X-Id\" = true }" aka:"requestParameters"`
	// Pages of other origins, instead of what the API says of them.
	CORS *CORS `toml:"cors" api:"rest,http" example:"{ off = true }" aka:"corsConfiguration"`
	// What the method declares to answer, by status. With this table, answers of other
	// statuses and with headers that aren't declared are mistakes.
	MethodResponse map[string]MethodResponse `toml:"method_response" api:"rest" instead:"answers pass as they are, but for what a response maps" name:"[2-5][0-9][0-9]" names:"a status, such as \"200\"" example:"200" aka:"methodResponses,method_responses"`
	// Send what comes of a message back to its client: AWS's route response.
	RouteResponse bool `toml:"route_response" api:"websocket" aka:"routeResponse,routeResponseSelectionExpression,two_way"`
	// Answers by name: "default", and others that a status pattern chooses.
	// For the types mock, http and wasm_custom. In APIs of type http what changes in the
	// backend's answers, by their status: "404".
	Response map[string]Response `toml:"response" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\""`
}

// Validator judges requests.
type Validator struct {
	// Check the content against request_models: 400 BAD_REQUEST_BODY.
	Body bool `toml:"body" aka:"validateRequestBody,validate_request_body"`
	// Check that required request_parameters are there and not blank: 400
	// BAD_REQUEST_PARAMETERS.
	Parameters bool `toml:"parameters" aka:"validateRequestParameters,validate_request_parameters"`
	// A plugin that judges, after the two above.
	Plugin string `toml:"plugin" ref:"plugin" example:"checker"`
}

// Integration is what answers a method.
type Integration struct {
	// "http_proxy" passes request and answer through, "http" sends and returns
	// what is mapped, "mock" answers by itself, "wasm" runs a plugin
	// with an event, "wasm_custom" with what the template makes, and maps its answer.
	Type string `toml:"type" enum:"http_proxy,http,mock,wasm,wasm_custom" required:"true" example:"http_proxy"`
	// The backend's URL, with {param} for path parameters and
	// ${stageVariables.name} for stage variables.
	URL string `toml:"url" for:"http_proxy,http" required:"true" example:"http://127.0.0.1:9000/{proxy}" aka:"uri,endpoint"`
	// The backend's verb. Default: the client's.
	Method string `toml:"method" aka:"httpMethod,http_method,verb" for:"http_proxy,http" enum:"GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS,ANY"`
	// The [backend.x] that carries the request; the URL then gives Host and path.
	Backend string `toml:"backend" for:"http_proxy,http" ref:"backend"`
	// The plugin to run.
	Plugin string `toml:"plugin" for:"wasm,wasm_custom" required:"true" ref:"plugin" example:"greeter" aka:"module,function"`
	// Version of the event that the plugin gets, and of its answers.
	PayloadFormat string `toml:"payload_format" for:"wasm" api:"http" enum:"1.0,2.0" default:"2.0" aka:"payload_format_version,payloadFormatVersion"`
	// Longest wait for the answer's head. Default: 29s; 30s in APIs of type http. AWS goes
	// from 50ms up to these.
	Timeout Duration `toml:"timeout" aka:"timeoutInMillis,timeout_ms" for:"http_proxy,http,wasm,wasm_custom" default:"29s" min:"50ms" max:"15m"`
	// Longest time that the answer's content may keep the gateway waiting in all.
	// Default: what content_timeout of the backend says.
	ContentTimeout Duration `toml:"content_timeout" for:"http_proxy,http" min:"10ms" max:"168h"`
	// Plugin that changes what goes to the backend.
	MapRequest string `toml:"map_request" for:"http_proxy,http" ref:"plugin" example:"greeter"`
	// Plugin that makes the client's answer from the backend's.
	MapResponse string `toml:"map_response" ref:"plugin" example:"greeter"`
	// Parameter mapping, as AWS writes it: "integration.request.header.X",
	// "integration.request.querystring.X" and "integration.request.path.X" to
	// method.request.header.Y, method.request.querystring.Y, method.request.path.Y,
	// method.request.multivalueheader.Y, method.request.multivaluequerystring.Y,
	// method.request.body, method.request.body.JSONPATH, stageVariables.Y, context.Y or
	// 'literal'. In APIs of type http: "append:header.X", "overwrite:header.X",
	// "remove:header.X", the same of querystring, and "overwrite:path" to a text in which
	// $request.header.Y, $request.querystring.Y, $request.path, $request.path.Y,
	// $request.body, $request.body.JSONPATH, $context.Y and $stageVariables.Y stand for
	// values: alone, or as ${request.header.Y} among others.
	Parameters map[string]string `toml:"parameters" for:"http_proxy,http" example:"{ \"integration.request.header.X-Stage\" = \"context.stage\" }" aka:"requestParameters,request_parameters,parameter,mapping"`
	// What the backend gets for content, by the media type of the request's; "$default"
	// is for all others. For mock, what it renders chooses the answer by its statusCode.
	Template map[string]Template `toml:"template" for:"http,mock,wasm_custom" api:"rest,websocket" instead:"map parameters, or let a plugin make the content: map_request, map_response" short:"text" name:"[!#$%&'*+.^_|~0-9A-Za-z-]+/[!#$%&'*+.^_|~0-9A-Za-z-]+|\\$default" names:"type and subtype, such as \"application/json\", or \"$default\"" aka:"requestTemplates,request_templates,templates,request_template"`
	// Content for which no template is: "when_no_match" passes it, "when_no_templates"
	// only where there are no templates at all, "never" refuses it with 415.
	Passthrough string `toml:"passthrough" for:"http,mock,wasm_custom" api:"rest,websocket" instead:"map parameters, or let a plugin make the content: map_request, map_response" enum:"when_no_match,when_no_templates,never" default:"when_no_match" aka:"passthroughBehavior,passthrough_behavior"`
	// Convert the request's content: "convert_to_text" makes base64 of bytes,
	// "convert_to_binary" bytes of base64. Absent: bytes stay bytes, text stays text.
	ContentHandling string `toml:"content_handling" for:"http_proxy,http,mock,wasm_custom" api:"rest,websocket" instead:"map parameters, or let a plugin make the content: map_request, map_response" enum:"convert_to_text,convert_to_binary" aka:"contentHandling"`
	// Pass protocol upgrades (WebSocket) through to the backend.
	Upgrade bool `toml:"upgrade" for:"http_proxy" api:"rest,http" default:"true"`
	// What tells requests apart for the stage's cache, as parameters write their sources, or by
	// integration.request.NAME that one is mapped to. Absent: the whole path and query.
	CacheKeyParameters []string `toml:"cache_key_parameters" api:"rest" instead:"HTTP APIs have cache = \"rfc9111\"" example:"[\"method.request.querystring.type\"]" aka:"cacheKeyParameters,cache_key,cache_keys"`
	// Methods with the same namespace share answers to the same keys. Default: the resource's id.
	CacheNamespace string `toml:"cache_namespace" api:"rest" instead:"HTTP APIs have cache = \"rfc9111\"" pattern:"[!-~]{1,128}" want:"1 to 128 characters without spaces" example:"pets" aka:"cacheNamespace"`
	// A cache of this integration's own, instead of the stage's.
	Cache *IntegrationCache `toml:"cache" for:"http_proxy,http" api:"rest,http" short:"mode" example:"\"rfc9111\"" aka:"caching,response_cache"`
	// X-Forwarded-For, -Host, -Port, -Proto and Forwarded for the backend:
	// "off" drops what the client sent and adds none, as AWS does; "set"
	// replaces them by what the gateway knows.
	Forwarded string `toml:"forwarded" for:"http_proxy,http" enum:"set,off" default:"set"`
}

// Response is an integration response and the method response it leads to.
type Response struct {
	// Regular expression of Java's for the backend's whole status code, as "4\\d\\d",
	// or for the whole errorMessage of a plugin of wasm_custom. Absent: this answer is
	// the default.
	Pattern string `toml:"pattern" api:"rest,websocket" instead:"in HTTP APIs only parameters change what a backend answers" example:"5\\d\\d" aka:"selectionPattern,selection_pattern"`
	// Status for the client. Default: 200.
	Status int `toml:"status" api:"rest,websocket" instead:"write \"overwrite:statuscode\" under parameters" aka:"statusCode,status_code,code" default:"200" min:"200" max:"599"`
	// Header fields for the client, as they stand.
	Headers map[string]string `toml:"headers" api:"rest,websocket" instead:"write \"append:header.NAME\" or \"overwrite:header.NAME\" under parameters" name:"[!#$%&'*+.^_|~0-9A-Za-z-]+" pattern:"[\\t\\x20-\\x7e]*" names:"letters, digits and !#$%&'*+.^_|~-" want:"printable ASCII" aka:"header"`
	// Parameter mapping, as AWS writes it: "method.response.header.X" to
	// integration.response.header.Y, integration.response.multivalueheader.Y,
	// integration.response.body, integration.response.body.JSONPATH, stageVariables.Y,
	// context.Y or 'literal'. In APIs of type http: "append:header.X", "overwrite:header.X",
	// "remove:header.X" and "overwrite:statuscode" to a text in which $response.header.Y,
	// $response.body, $response.body.JSONPATH, $context.Y and $stageVariables.Y stand for
	// values.
	Parameters map[string]string `toml:"parameters" example:"{ \"method.response.header.X-Id\" = \"integration.response.body.id\" }" aka:"responseParameters,response_parameters,parameter,mapping"`
	// Mapping templates by media type. The first one of the client's Accept chooses.
	Template map[string]Template `toml:"template" api:"rest,websocket" instead:"in HTTP APIs only parameters change what a backend answers" short:"text" name:"[!#$%&'*+.^_|~0-9A-Za-z-]+/[!#$%&'*+.^_|~0-9A-Za-z-]+" names:"type and subtype, such as \"application/json\"" aka:"templates,body,responseTemplates,response_templates"`
	// Convert the answer's content: "convert_to_text" makes base64 of bytes,
	// "convert_to_binary" bytes of base64. Absent: what binary_media_types and the
	// client's Accept say.
	ContentHandling string `toml:"content_handling" api:"rest,websocket" instead:"in HTTP APIs only parameters change what a backend answers" enum:"convert_to_text,convert_to_binary" aka:"contentHandling"`
}

// Template is one mapping template: its text, or where it is. A string is its text.
type Template struct {
	// The template itself.
	Text string `toml:"text" example:"{}"`
	// A file that holds it.
	File string `toml:"file" file:"true" example:"templates/order.vtl" aka:"path"`
	// A plugin that stands for it: one that can map requests, or responses.
	Plugin string `toml:"plugin" ref:"plugin" example:"greeter"`
	// A conversion between XML and JSON that stands for it. {} will do.
	XML *XML `toml:"xml" example:"{ wrap = [\"Order\"] }"`
}

// MethodResponse is what a method declares to answer with one status.
type MethodResponse struct {
	// Names of headers that mappings may set.
	Headers []string `toml:"headers" pattern:"[!#$%&'*+.^_|~0-9A-Za-z-]+" want:"a header name" example:"[\"X-Id\"]" aka:"responseParameters,parameters"`
}

// What an API says of ambiguous paths, besides to judge them.
const (
	PassAmbiguous   = "pass"
	RefuseAmbiguous = "refuse"
)
