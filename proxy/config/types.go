package config

// Config is the whole configuration: one file and what it includes.
//
// The doc comments of these types are the reference: `postern schema` and the
// README take them from here.
type Config struct {
	// Further files, as paths or globs relative to the file that names them.
	// Their tables are merged; a name may be defined only once.
	Include []string `toml:"include" example:"[\"conf.d/*.toml\"]"`
	// Folder for what the gateway keeps between runs: compiled plugins and the
	// admin socket. Default: $STATE_DIRECTORY, else $XDG_STATE_HOME/postern,
	// else ~/.local/state/postern.
	DataDir string `toml:"data_dir" path:""`
	// Linear memory of all plugins' instances together, and what they are reset to.
	// A plugin that has a quarter of it leaves the last quarter to the others. One for which nothing is left gets
	// no more instances, and its requests 503.
	MemoryBudget Size `toml:"memory_budget" default:"256MiB" min:"1MiB" aka:"plugin_memory"`
	// What the gateway says of itself to backends and plugins.
	Gateway Gateway `toml:"gateway"`
	// Public listeners by name. At least one.
	Listen map[string]Listen `toml:"listen" required:"true" example:"public" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\""`
	// The operator's listener: health, metrics, profiles, configuration.
	Admin Admin `toml:"admin"`
	// Operator log and access log.
	Log Log `toml:"log"`
	// A collector of OpenTelemetry that gets traces and metrics. Absent: none does.
	OTLP *OTLP `toml:"otlp" aka:"opentelemetry,otel,telemetry,tracing"`
	// What outlives the gateway: API keys and the use of quotas.
	State State `toml:"state"`
	// Bounds all requests together: what AWS has for an account. Absent: no bound.
	Throttle *GatewayThrottle `toml:"throttle" example:"{}" aka:"rate_limit"`
	// Usage plans by name.
	Plan map[string]Plan `toml:"plan" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\"" aka:"usage_plan,plans,usagePlans"`
	// API keys by name; the name is also the key's id.
	Key map[string]Key `toml:"key" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\"" aka:"api_key,keys,apiKeys"`
	// What happens between the signal to stop and the end.
	Drain Drain `toml:"drain"`
	// WebAssembly modules by name.
	Plugin map[string]Plugin `toml:"plugin" name:"[A-Za-z0-9_.:-]{1,64}" names:"1 to 64 letters, digits and _.:-"`
	// Registries that plugins come from, by host as modules name them:
	// "registry.example.com:5000". One without a table is spoken to with TLS, and with
	// the password that docker or oras keeps for it, if any.
	Registry map[string]Registry `toml:"registry" name:"[A-Za-z0-9.-]+(:[0-9]+)?|\\[[0-9a-fA-F:]+\\](:[0-9]+)?" names:"a host, with its port where modules name one"`
	// Authorizers by name, for the routes of every API.
	Authorizer map[string]Authorizer `toml:"authorizer" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\""`
	// Who signs requests by AWS's Signature Version 4, by name.
	Principal map[string]Principal `toml:"principal" name:"[A-Za-z0-9_.+=,@-]{1,64}" names:"1 to 64 letters, digits and _.+=,@-" aka:"user,users,principals"`
	// Backends by name: what AWS calls a VPC link.
	Backend map[string]Backend `toml:"backend" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\""`
	// Ranges of client addresses by name, for policies: aws:SourceVpc, aws:SourceVpce.
	Network map[string]Network `toml:"network" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\"" aka:"networks,vpc"`
	// What requests meet before any authorizer is asked, by name.
	Guard map[string]Guard `toml:"guard" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\"" aka:"guards"`
	// Certificates that stages show to their backends, by name.
	ClientCertificate map[string]ClientCertificate `toml:"client_certificate" name:"[A-Za-z0-9_-]{1,64}" names:"1 to 64 letters, digits, \"_\" and \"-\"" aka:"client_certificates,clientCertificate"`
	// APIs by name. The name is also the API's id and its default host's first label.
	API map[string]API `toml:"api" name:"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" names:"1 to 63 lower-case letters, digits and \"-\", not at the ends"`
	// Custom domain names: an exact host, or "*.example.com".
	Domain map[string]Domain `toml:"domain"`
	// Certificates that domains get by themselves. Absent: they get none.
	ACME *ACME `toml:"acme" example:"{ agreed = true }" aka:"letsencrypt,auto_tls,autotls,certificates"`

	origin *origin
}

// Gateway is what the gateway says of itself.
type Gateway struct {
	// Every API answers at http://{api}.<suffix>/{stage}/… .
	Suffix string `toml:"suffix" default:"localhost"`
	// Region that events and ARNs name.
	Region string `toml:"region" default:"local" pattern:"[a-z0-9-]{1,64}" want:"lower-case letters, digits and \"-\""`
	// Account id that events and ARNs name.
	AccountID string `toml:"account_id" default:"000000000000" pattern:"[0-9]{12}" want:"12 digits"`
	// When what the configuration says of APIs reaches callers, unless a stage says
	// otherwise: "auto" with each reload, "manual" with "postern deploy".
	Deploy string `toml:"deploy" enum:"auto,manual" default:"auto" aka:"auto_deploy,autoDeploy"`
	// How many deployments of each API are kept. Those that stages use are never removed.
	Deployments int `toml:"deployments" default:"100" min:"1" max:"10000" aka:"history"`
}

// Listen is one public listener.
type Listen struct {
	// Address as "host:port" or ":port"; port 0 takes a free one. "systemd:NAME" is
	// the socket that systemd passes under this name; one of its sockets that is
	// bound to "host:port" is taken, too.
	Address string `toml:"address" required:"true" example:":8080" aka:"addr,port,bind,listen"`
	// TLS, with the certificates of domains and of files. Absent: cleartext HTTP/1.1.
	TLS *ListenTLS `toml:"tls" example:"{}"`
	// Take HTTP/2 without TLS, too, from clients that begin with its preface. Not for
	// listeners with TLS, where ALPN decides.
	H2C bool `toml:"h2c"`
	// Finite bounds on what a client may send and how long it may take.
	Limits Limits `toml:"limits"`
	// PROXY protocol, versions 1 and 2, from load balancers. Absent: a header of it
	// is a bad request.
	ProxyProtocol *ProxyProtocol `toml:"proxy_protocol"`
	// Reverse proxies whose word about the client counts, as addresses or prefixes.
	// The client is then the last address in client_header that isn't one of these,
	// and X-Forwarded-Proto (or proto= in Forwarded) tells the scheme. A chain that
	// can't be read is refused with 400. From anybody else these fields mean nothing.
	TrustedProxies []string `toml:"trusted_proxies" example:"[\"10.0.0.0/8\"]" aka:"trusted_ips,trusted_cidrs,set_real_ip_from,trust"`
	// The field in which trusted proxies tell the client's address. The other one is
	// never read: a proxy passes on what it doesn't know.
	ClientHeader string `toml:"client_header" enum:"x-forwarded-for,forwarded" default:"x-forwarded-for" aka:"real_ip_header"`
	// Let trusted proxies also say the host that was asked for, by X-Forwarded-Host or
	// host= in Forwarded. It then decides which API answers.
	TrustForwardedHost bool `toml:"trust_forwarded_host"`
	// Open the socket with SO_REUSEPORT, so that several processes can listen on the
	// address; the kernel spreads connections over them. Linux and BSD. A reload leaves
	// a socket that is open as it is, and so does a socket that another process opened.
	ReusePort bool `toml:"reuse_port" aka:"reuseport,so_reuseport"`
	// Send clients to HTTPS: true, or a table.
	RedirectHTTPS *Redirect `toml:"redirect_https" short:"on" example:"true" aka:"redirect,https_redirect,force_https,ssl_redirect"`
	// It can be reached from where private endpoints are to be reached, and nowhere else.
	Private bool `toml:"private" aka:"internal"`
}

// ProxyProtocol says who begins connections with a header of the PROXY protocol,
// versions 1 and 2, and so names the client's address and the one it connected to.
// What else a header has (TLVs) is ignored; LOCAL and UNKNOWN name nobody.
type ProxyProtocol struct {
	// Load balancers, as addresses or prefixes. The header is required from these and
	// refused from others.
	From []string `toml:"from" required:"true" example:"[\"10.0.0.0/8\"]" aka:"trusted,trusted_ips,allow"`
	// Longest wait for the header; header_timeout bounds it too.
	Timeout Duration `toml:"timeout" default:"5s" min:"10ms" max:"10m"`
}

// ListenTLS is TLS. A client that names a domain with a certificate gets that one.
type ListenTLS struct {
	// Certificates for all other clients, read again at each reload: the one whose names
	// fit the client's SNI, else the first. Without any, these clients are refused with
	// the alert unrecognized_name.
	Certificates []Certificate `toml:"certificates" example:"[{ cert = \"cert.pem\", key = \"key.pem\" }]" aka:"certificate,certs"`
	// What clients have to be able to do: "tls-1.2", "tls-1.3" or the name of a policy of
	// AWS's. For names of a domain that has a policy of its own, that counts. TLS 1.2 is
	// spoken with AES-GCM or ChaCha20-Poly1305 and an ephemeral key exchange only.
	Policy string `toml:"policy" default:"tls-1.2" example:"tls-1.3" aka:"min_version,security_policy,securityPolicy,ssl_policy"`
	// Application protocols to offer, best first; "h3" is offered on the UDP port of the
	// same number, and told of by Alt-Svc.
	ALPN []string `toml:"alpn" enum:"h3,h2,http/1.1" default:"h2,http/1.1"`
}

// Certificate is a pair of PEM files.
type Certificate struct {
	// Certificate chain, leaf first.
	Cert string `toml:"cert" required:"true" file:"true" example:"cert.pem" aka:"certificate,cert_file"`
	// Private key.
	Key string `toml:"key" required:"true" file:"true" example:"key.pem" aka:"private_key,key_file"`
}

// Limits bound what one client connection may cost.
type Limits struct {
	// Bytes of the request line.
	Line Size `toml:"line" default:"10272B" min:"256B" max:"1MiB"`
	// Bytes of all header lines together.
	Header Size `toml:"header" default:"16KiB" min:"1KiB" max:"1MiB"`
	// Number of header lines.
	Headers int `toml:"headers" default:"200" min:"1" max:"10000"`
	// Bytes of a request's content. AWS allows 10 MiB.
	Body Size `toml:"body" default:"10MiB" min:"0B" max:"1TiB"`
	// Time for a TLS handshake, for a new connection's first byte, and for a request's head from its first byte on.
	HeaderTimeout Duration `toml:"header_timeout" default:"10s" min:"10ms" max:"10m"`
	// Time that a kept connection may wait for its next request.
	IdleTimeout Duration `toml:"idle_timeout" default:"75s" min:"10ms" max:"1h"`
	// Longest wait for the next bytes of a request's content.
	BodyTimeout Duration `toml:"body_timeout" default:"30s" min:"10ms" max:"1h"`
	// Longest time a client may leave the reply's bytes unread.
	WriteTimeout Duration `toml:"write_timeout" default:"30s" min:"10ms" max:"1h"`
	// Lowest average rate of a request's content in bytes a second, judged after the first 10 s. 0 switches it off.
	MinBodyRate Size `toml:"min_body_rate" default:"240B" min:"0B" max:"1GiB"`
	// Lowest average rate in bytes a second at which a client takes a reply, judged after
	// it has kept us waiting for 10 s in all (HTTP/2 and HTTP/3: of a stream, or of all together
	// where the line is what is slow). 0 switches it off.
	MinSendRate Size `toml:"min_send_rate" default:"240B" min:"0B" max:"1GiB"`
	// Longest time for one request, from its first byte to the reply's last; then the
	// connection is cut (HTTP/2: the stream). Upgraded connections are exempt. 0s: no bound
	// but those of each part.
	RequestTime Duration `toml:"request_time" default:"0s" min:"0s" max:"24h"`
	// Age at which a connection gets its last reply, give or take a tenth, so that clients
	// spread over new processes. 0s: no bound.
	ConnectionAge Duration `toml:"connection_age" default:"0s" min:"0s" max:"168h" aka:"max_connection_age"`
	// Requests under way on the listener; a further one gets 503 with Retry-After.
	InFlight int `toml:"in_flight" default:"20000" min:"1" max:"10000000" aka:"max_in_flight,max_requests"`
	// Bounds for each client address.
	Client ClientLimits `toml:"client"`
	// Requests on one connection before it is closed (HTTP/2 and HTTP/3: by GOAWAY).
	Requests int `toml:"requests" default:"100000" min:"1" max:"1000000000"`
	// Open connections of the listener; further ones wait in the kernel's queue.
	Connections int `toml:"connections" default:"20000" min:"1" max:"10000000"`
	// Concurrent streams of one HTTP/2 connection.
	Streams int `toml:"streams" default:"100" min:"1" max:"10000"`
}

// ClientLimits bound what one client address may take. The IPv6 addresses of a /64 count
// as one. Trusted proxies are exempt, and so is loopback from connections.
type ClientLimits struct {
	// Open connections; further ones are closed at once. 0: no bound.
	Connections int `toml:"connections" default:"2048" min:"0" max:"10000000"`
	// New connections a second; further ones are closed at once. 0: no bound.
	ConnectionRate int `toml:"connection_rate" default:"0" min:"0" max:"1000000"`
	// New connections at once before connection_rate counts. 0: as many as connection_rate.
	ConnectionBurst int `toml:"connection_burst" default:"0" min:"0" max:"1000000"`
	// Requests a second; further ones get 429 with Retry-After. 0: no bound.
	RequestRate int `toml:"request_rate" default:"0" min:"0" max:"1000000"`
	// Requests at once before request_rate counts. 0: as many as request_rate.
	RequestBurst int `toml:"request_burst" default:"0" min:"0" max:"1000000"`
}

// Admin is the operator's listener.
type Admin struct {
	// "unix:PATH", "host:port", or "off". PATH is relative to the file that holds it. What
	// isn't a loopback address needs tls and a token. Default: unix:admin.sock in data_dir.
	Address string `toml:"address" example:"127.0.0.1:8081"`
	// TLS on a TCP address.
	TLS *AdminTLS `toml:"tls"`
	// Who may use it on a TCP address, by name: requests there then need
	// "Authorization: Bearer TOKEN", but for /health/live and /health/ready. The unix
	// socket is for the process's user alone and asks for none.
	Token map[string]AdminToken `toml:"token" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\"" aka:"tokens"`
}

// Log says what is logged and where.
type Log struct {
	// Lowest level of operator messages.
	Level string `toml:"level" enum:"debug,info,warn,error" default:"info"`
	// Operator log: "stderr", "stdout" or a file.
	Output string `toml:"output" default:"stderr" path:"stderr,stdout"`
	// Access log, one JSON object a line: "stdout", "stderr", a file, or "off".
	Access string `toml:"access" default:"stdout" path:"stdout,stderr,off"`
}

// Drain is the orderly stop.
type Drain struct {
	// Time between failing readiness and closing the listeners.
	Delay Duration `toml:"delay" default:"0s" min:"0s" max:"10m"`
	// Longest time to wait for requests in flight.
	Timeout Duration `toml:"timeout" default:"30s" min:"0s" max:"1h"`
}

// Plugin is one WebAssembly module.
type Plugin struct {
	// The module's file, or an artifact in a registry: oci://HOST/NAME@sha256:DIGEST.
	// oci://HOST/NAME:TAG works once "postern plugin fetch" wrote into postern.lock,
	// beside this file, what the tag means. What is in the local store below data_dir
	// needs no network, and requests never wait for one.
	Module string `toml:"module" required:"true" file:"true" remote:"oci://" example:"greeter.wasm" aka:"file,path,wasm,url"`
	// SHA-256 of the module in hex; one that differs is refused.
	SHA256 string `toml:"sha256" pattern:"[0-9a-fA-F]{64}" want:"64 hexadecimal digits" aka:"digest,sha"`
	// Key of minisign whose owner must have signed the module: the line of minisign.pub
	// that begins with "RW". Without it signatures aren't looked at.
	PublicKey string `toml:"public_key" example:"RWQHmbPwXAsdUxlpVrpa19Lp0u2OBenRsY++D4aLT7Jlt62IuttxutyE" aka:"key,pubkey,trusted_key"`
	// The file with the signature. Default: the module's own with ".minisig" added; for
	// an artifact in a registry its layer with a title that ends so.
	Signature string `toml:"signature" file:"true" example:"greeter.wasm.minisig" aka:"sig"`
	// How the gateway talks to it. "auto" looks at the module's exports:
	// "native" is postern's own ABI; "event" gets AWS's JSON event on standard
	// input and answers on standard output; "proxy-wasm" is the ABI of plugins for
	// Envoy, Istio and Higress, "http-wasm" that of plugins for Traefik and Dapr;
	// "opa" runs policies in Rego that are compiled to WebAssembly, "extism" plugins
	// built with Extism's PDKs.
	ABI string `toml:"abi" enum:"auto,native,event,proxy-wasm,http-wasm,opa,extism" default:"auto"`
	// When a filter or a mapping fails, misses its deadline or gets no instance:
	// "fail" answers 500, 504 or 503, "continue" goes on as if it hadn't been
	// there. Authorizers, validators and integrations always fail.
	OnError string `toml:"on_error" enum:"fail,continue" default:"fail" aka:"onError,failure_mode"`
	// Linear memory of one instance, at most.
	Memory Size `toml:"memory" default:"64MiB" min:"64KiB" max:"4GiB"`
	// What a call may find of an earlier one in its instance: "reset" puts memory and
	// variables back to what they were after the start, "shared" leaves them, "fresh"
	// starts an instance for each call. Default: reset where a started instance has at
	// most 512 KiB, else shared; an event plugin is always fresh.
	Isolation string `toml:"isolation" enum:"reset,shared,fresh" example:"reset"`
	// Time for one call. Default: 5s for an integration, 50ms for any other role.
	Timeout Duration `toml:"timeout" min:"1ms" max:"15m"`
	// Instances at the same time; further requests wait for one.
	MaxInstances int `toml:"max_instances" default:"16" min:"1" max:"10000"`
	// Time a request waits for an instance before it gets 503.
	Wait Duration `toml:"wait" default:"1s" min:"0s" max:"1m"`
	// Environment variables of a plugin that isn't native, nor a policy.
	Env map[string]string `toml:"env" name:"[A-Za-z_][A-Za-z0-9_]*" names:"letters, digits and \"_\"" secret:"true" aka:"environment"`
	// Configuration, which plugins read as JSON; an event plugin can't. A policy of
	// OPA has "entrypoint", the rule that decides, and "data".
	Config map[string]any `toml:"config" secret:"true"`
	// What a proxy-wasm or http-wasm plugin reads instead, if its configuration isn't
	// JSON.
	ConfigText string `toml:"config_text" secret:"true" example:"a.example,b.example"`
	// Which plugin of a proxy-wasm module this is, if it has several: root_id in
	// Envoy's configuration.
	RootID string `toml:"root_id" example:"my_root_id" aka:"rootID"`
	// The export of an Extism plugin to call. Default: "authorize" as an authorizer,
	// "handle" or "integrate" as an integration.
	Function string `toml:"function" example:"count_vowels" aka:"entrypoint,func"`
	// What an Extism plugin that is an integration takes and makes: "event" is AWS's
	// JSON event and answer, "body" the content of request and response alone.
	Payload string `toml:"payload" enum:"event,body" example:"body"`
	// Values and counters that outlive a call, for a plugin that imports postern_v1_kv.
	// Without this table it has none; an empty one will do.
	KV *PluginKV `toml:"kv" example:"{ size = \"1MiB\" }" aka:"keyvalue,key_value"`
	// Servers that the plugin may send requests to. Without this table there are none.
	HTTP *PluginHTTP `toml:"http" example:"{ allow = [\"https://api.example.com\"] }" aka:"egress,outbound"`
	// Let the plugin have figures of its own on the metrics page.
	Metrics bool `toml:"metrics" aka:"metric"`
	// Calls in a second, at most, of which as many may come at once. Further requests
	// get 503. Default: no limit.
	Rate int `toml:"rate" min:"1" max:"1000000" aka:"max_calls_per_second,rate_limit"`
}

// PluginKV is memory of a plugin that outlives its calls.
type PluginKV struct {
	// Plugins that name the same one share it. Default: the plugin's name.
	Namespace string `toml:"namespace" pattern:"[A-Za-z0-9_.-]{1,64}" want:"1 to 64 letters, digits, \"_\", \"-\" and \".\""`
	// Memory for it. An entry takes its key, its value and 256 bytes, and may have a
	// 16th of it; what was used longest ago makes room.
	Size Size `toml:"size" default:"1MiB" min:"16KiB" max:"1GiB" aka:"max_bytes,memory"`
}

// PluginHTTP is what requests a plugin may send. Redirects aren't followed, and no
// proxy is used.
type PluginHTTP struct {
	// Servers: scheme://host, with a port if it isn't the scheme's own. "*." before a
	// name stands for all names below it.
	Allow []string `toml:"allow" required:"true" example:"[\"https://api.example.com\"]" aka:"hosts,allowed_hosts,origins"`
	// Methods that it may use.
	Methods []string `toml:"methods" default:"GET,HEAD,POST" pattern:"[A-Z]{1,32}" want:"a method in capitals"`
	// Requests that one call may send.
	MaxCalls int `toml:"max_calls" default:"8" min:"1" max:"1000" aka:"max_requests"`
	// Content of one request, and of one answer.
	MaxBytes Size `toml:"max_bytes" default:"1MiB" min:"0B" max:"64MiB" aka:"max_body,max_size"`
	// All waiting of one call together, and any one request. It doesn't count as the
	// call's own time.
	Timeout Duration `toml:"timeout" default:"2s" min:"1ms" max:"5m"`
	// Connect to loopback, link-local, private and other special addresses, too.
	// Without it they are refused, also when a name turns out to have one.
	Private bool `toml:"private" aka:"allow_private,internal"`
	// Certificates, as PEM, that are trusted besides the system's.
	CA string `toml:"ca" file:"true" aka:"ca_file,cacert"`
}

// Registry says how to reach an OCI registry that plugins come from.
type Registry struct {
	// Who fetches. Absent: as in the configuration of docker (DOCKER_CONFIG, or
	// ~/.docker/config.json) with its credential helpers, or nobody.
	Username string `toml:"username" aka:"user"`
	// Password or access token.
	Password string `toml:"password" secret:"true" aka:"token"`
	// Certificates, as PEM, that are trusted besides the system's.
	CA string `toml:"ca" file:"true" aka:"ca_file,cacert"`
	// Speak HTTP without TLS. Digests still tell a changed module, but passwords can be
	// read on the way.
	PlainHTTP bool `toml:"plain_http" aka:"insecure"`
}

// Backend says how to reach a group of servers. Its limits and its state count
// for all routes that use it; but https URLs with different hosts make backends
// of their own, unless tls.server_name is set.
type Backend struct {
	// Servers: "host:port" with a name or an address, "srv:_http._tcp.example.com"
	// for what DNS lists under that name, or a table. Absent: the URL's own host.
	Targets []Target `toml:"targets" short:"address" example:"[\"10.0.0.1:8080\", \"10.0.0.2:8080\"]" aka:"addresses,servers"`
	// What a host name stands for: "one" makes it one target, whose addresses are
	// tried in turn when it connects; "all" makes each of its addresses a target.
	Resolve string `toml:"resolve" enum:"one,all" default:"one"`
	// How long looked-up names count before they are looked up again.
	ResolveInterval Duration `toml:"resolve_interval" default:"10s" min:"1s" max:"1h"`
	// Which target gets a request: "round_robin" takes them in turn,
	// "least_requests" the less busy one of two picked at random, "hash" always
	// the same one for the same value. All heed the targets' weights.
	Balance string `toml:"balance" enum:"round_robin,least_requests,hash" default:"round_robin" aka:"policy,strategy,load_balancing,lb_policy"`
	// The value that balance = "hash" goes by: method.request.header.NAME,
	// method.request.path.NAME, method.request.querystring.NAME,
	// context.identity.sourceIp, context.authorizer.principalId, or another
	// context.authorizer.NAME. A request without it goes by round_robin.
	Hash string `toml:"hash" pattern:"method\\.request\\.(header|path|querystring)\\.[!-~]+|context\\.identity\\.sourceIp|context\\.authorizer\\.[!-~]+" want:"method.request.header.NAME, method.request.path.NAME, method.request.querystring.NAME, context.identity.sourceIp or context.authorizer.principalId" example:"context.identity.sourceIp" aka:"hash_key,sticky"`
	// When no target is healthy: "try" uses them all, as the checks may be what is
	// wrong; "refuse" answers 503 at once.
	AllDown string `toml:"all_down" enum:"try,refuse" default:"try"`
	// What is spoken to the targets: "h2" is HTTP/2, which https URLs agree on by
	// ALPN; "h2c" is HTTP/2 without TLS, for http URLs, with no word beforehand.
	// Many requests then share a connection; upgrades aren't passed on.
	Protocol string `toml:"protocol" enum:"http/1.1,h2,h2c" default:"http/1.1" aka:"http_version,proto"`
	// PROXY protocol header that tells a target the client's address at the start of
	// each connection, before TLS. A connection then serves one client address and
	// port only. Absent: none is sent.
	ProxyProtocol string `toml:"proxy_protocol" enum:"v1,v2" aka:"send_proxy,send_proxy_protocol"`
	// TLS towards the targets, for https URLs.
	TLS BackendTLS `toml:"tls"`
	// Time to connect, TLS included.
	ConnectTimeout Duration `toml:"connect_timeout" default:"5s" min:"1ms" max:"5m"`
	// Longest wait for further bytes of an answer's content.
	IdleTimeout Duration `toml:"idle_timeout" default:"30s" min:"1ms" max:"1h"`
	// Longest time that an answer's content may keep the gateway waiting in all, all its
	// waits for further bytes added up; then it is cut. The time that the client takes to
	// read doesn't count. 0s: no bound.
	ContentTimeout Duration `toml:"content_timeout" default:"1h" min:"0s" max:"168h" aka:"total_timeout,response_timeout,read_timeout"`
	// Unused kept connections to one target. Two clients of HTTP/2 with all their streams
	// in use need 200 at a time; fewer here means that connections are opened anew.
	MaxIdle int `toml:"max_idle" default:"256" min:"0" max:"100000"`
	// Connections that are opened ahead and kept unused to each target.
	MinIdle int `toml:"min_idle" default:"0" min:"0" max:"1000" aka:"warm"`
	// Time that an unused connection is kept.
	KeepAlive Duration `toml:"keep_alive" default:"50s" min:"0s" max:"1h"`
	// Connections to one target, besides those of health checks; over HTTP/2,
	// requests to it at the same time. 0: no bound.
	MaxConnections int `toml:"max_connections" default:"0" min:"0" max:"1000000" aka:"max_conns"`
	// Requests at the same time to all targets together. 0: no bound.
	MaxRequests int `toml:"max_requests" default:"0" min:"0" max:"1000000"`
	// Requests that wait when max_requests or every target's max_connections is
	// reached; further ones get 503. 0: none waits.
	Queue int `toml:"queue" default:"100" min:"0" max:"1000000" aka:"max_pending,max_pending_requests"`
	// Time that a request waits there before it gets 503.
	QueueTimeout Duration `toml:"queue_timeout" default:"1s" min:"1ms" max:"1m"`
	// Further tries of a request that is safe to repeat.
	Retries int `toml:"retries" default:"1" min:"0" max:"10"`
	// Further tries together, at most, in percent of the requests. One because a
	// kept connection had ended doesn't count.
	RetryBudget int `toml:"retry_budget" default:"20" min:"0" max:"1000"`
	// Further tries a second that are allowed besides retry_budget.
	RetryMinimum int `toml:"retry_minimum" default:"10" min:"0" max:"1000000"`
	// Bytes of an answer's header lines together.
	Header Size `toml:"header" default:"64KiB" min:"1KiB" max:"1MiB"`
	// Asks the targets whether they are well. Absent: they aren't asked.
	Health *Health `toml:"health" aka:"health_check,healthcheck,check"`
	// Leaves out, for a time, targets that fail several requests in a row.
	Eject Eject `toml:"eject" aka:"outlier,outlier_detection,passive"`
	// Time in which a target that is well again gets back to its full share. 0: at once.
	SlowStart Duration `toml:"slow_start" default:"0s" min:"0s" max:"15m"`

	name  string             // its key in the configuration
	shows *ClientCertificate // nil for nothing
	bare  bool               // there is nothing but shows: the defaults hold
}

// Target is one server of a backend.
type Target struct {
	// Its address, as "host:port", or "srv:_http._tcp.example.com".
	Address string `toml:"address" required:"true" example:"10.0.0.1:8080" aka:"host,url,server"`
	// Its share of the requests, in relation to the other targets' weights. Those
	// of SRV records count besides.
	Weight int `toml:"weight" default:"1" min:"1" max:"1000"`
	// Gets requests only when no other target is healthy.
	Backup bool `toml:"backup"`
}

// Health is how targets are asked whether they are well: by a GET request over a
// connection of its own. The first answer counts at once.
type Health struct {
	// Path and query to ask for. Absent: a target that accepts a connection, with
	// TLS if the URL is https, is well.
	Path string `toml:"path" pattern:"/[!-~]*" want:"a path that begins with \"/\"" example:"/health" aka:"uri,url"`
	// Value of the Host field. Default: the target's address.
	Host string `toml:"host" pattern:"[!-~]+" want:"a host"`
	// Time from one question to the next, give or take a tenth.
	Interval Duration `toml:"interval" default:"10s" min:"10ms" max:"1h"`
	// Time for the answer's head, connecting included.
	Timeout Duration `toml:"timeout" default:"2s" min:"1ms" max:"5m"`
	// Good answers in a row that make a target healthy.
	Healthy int `toml:"healthy" default:"2" min:"1" max:"100" aka:"healthy_threshold,rise"`
	// Bad answers in a row that make a target unhealthy.
	Unhealthy int `toml:"unhealthy" default:"3" min:"1" max:"100" aka:"unhealthy_threshold,fall"`
	// Statuses that are good: "200", "200-399".
	Status []string `toml:"status" default:"200-399" pattern:"[1-5][0-9][0-9](-[1-5][0-9][0-9])?" want:"a status or a range, such as \"200-399\"" aka:"expected_status,codes"`
}

// Eject is when a target is left out because requests fail.
type Eject struct {
	// Failures in a row after which a target is left out: it can't be connected
	// to, breaks off, answers nothing in time or something malformed, or a status
	// below. 0: never.
	Failures int `toml:"failures" default:"5" min:"0" max:"1000" aka:"max_fails,consecutive_failures,consecutive_5xx"`
	// Statuses that are failures: "503", "500-599".
	Status []string `toml:"status" default:"502-504" pattern:"[1-5][0-9][0-9](-[1-5][0-9][0-9])?" want:"a status or a range, such as \"500-599\""`
	// Time that a target is left out at first. Each further time in a row takes
	// twice as long.
	Time Duration `toml:"time" default:"10s" min:"10ms" max:"1h" aka:"fail_timeout,base_ejection_time"`
	// Longest time that a target is left out.
	MaxTime Duration `toml:"max_time" default:"5m" min:"10ms" max:"24h"`
	// Share of the targets, in percent, that may be left out at the same time.
	MaxPercent int `toml:"max_percent" default:"50" min:"0" max:"100" aka:"max_ejection_percent"`
}

// BackendTLS is how a target's certificate is judged.
type BackendTLS struct {
	// PEM file of the authorities to trust. Default: the system's.
	CA string `toml:"ca" file:"true"`
	// Name that the certificate must have, and SNI. Default: the URL's host.
	ServerName string `toml:"server_name"`
	// Lowest TLS version.
	MinVersion string `toml:"min_version" enum:"1.2,1.3" default:"1.2"`
}

// Stage is a named publication of an API.
type Stage struct {
	// What it is for.
	Description string `toml:"description"`
	// Stage variables: names of letters, digits and _, at most 64; values of AWS's characters, at most 512.
	Variables map[string]string `toml:"variables" aka:"stageVariables,stage_variables,vars"`
	// When what the configuration says of the API reaches the stage's callers: "auto"
	// with each reload, "manual" with "postern deploy". Variables, throttles and what else
	// the stage's own table says takes effect at once. Default: what [gateway] says.
	Deploy string `toml:"deploy" enum:"auto,manual" example:"manual" aka:"auto_deploy,autoDeploy"`
	// Of the requests to each method by itself, whoever sends them.
	Throttle *Throttle `toml:"throttle" example:"{ rate = 100, burst = 200 }"`
	// Keeps answers. {} will do. Absent: none are kept.
	Cache *StageCache `toml:"cache" short:"enabled" example:"{ ttl = \"1m\" }" aka:"caching,response_cache"`
	// What is logged of its requests, besides or instead of the gateway's access log.
	Log *StageLog `toml:"log" example:"{ access = \"json\" }" aka:"logging,logs"`
	// Which requests are traced, if [otlp] has traces. true or false will do.
	Trace *StageTrace `toml:"trace" short:"enabled" example:"{ ratio = 0.1 }" aka:"tracing,tracingEnabled,tracing_enabled"`
	// Figures of each method by itself: postern_method_….
	Metrics bool `toml:"metrics" aka:"metricsEnabled,detailed_metrics"`
	// What is different for single methods, by route key; "*" is for those that say
	// nothing else.
	Method map[string]MethodSettings `toml:"method" example:"GET /" aka:"methodSettings,method_settings"`
	// A share of the requests runs what is deployed to it, before all do. Absent: there is
	// no canary.
	Canary *Canary `toml:"canary" example:"{ percent = 10 }" aka:"canarySettings,canary_settings"`
	// What it belongs to, for queries: each is a series of the metric postern_stage_tag.
	Tags map[string]string `toml:"tags" example:"{ team = \"pets\" }" aka:"labels"`
	// Another stage gets copies of the requests, for its answers to be compared.
	Shadow *Shadow `toml:"shadow" short:"stage" example:"{ stage = \"next\" }" aka:"mirror,traffic_mirroring"`
	// What backends with https URLs get to see when they ask for a certificate, in all of
	// the stage's integrations of the types http and http_proxy.
	ClientCertificate string `toml:"client_certificate" ref:"client_certificate" example:"orders" aka:"clientCertificateId,client_certificate_id"`
}

// Domain is a custom domain name.
type Domain struct {
	// Base paths to "api:stage". "/" takes what no longer base path takes.
	Map map[string]string `toml:"map" required:"true" example:"{ \"/\" = \"hello:prod\" }" aka:"mapping,base_path"`
	// Where its certificate comes from: "acme"; "internal" for one of the gateway's own
	// authority, for development; "listener" for the listeners' own; or { cert, key }.
	// Default: "acme" if there is [acme] and the name can have one, else "listener".
	Certificate *DomainCertificate `toml:"certificate" short:"source" example:"\"acme\"" aka:"tls,cert,regionalCertificateArn,certificateArn"`
	// Certificates of clients. Absent: clients aren't asked for any.
	MTLS *MutualTLS `toml:"mtls" example:"{ truststore = \"clients.pem\" }" aka:"mutualTlsAuthentication,mutual_tls,client_auth"`
	// What clients have to be able to do: see the listener's policy, which is the default.
	TLSPolicy string `toml:"tls_policy" example:"tls-1.3" aka:"securityPolicy,security_policy,policy,min_version"`
	// "strict": a request counts only on a TLS connection that was opened for exactly its
	// host (SNI). Any other gets 421, and one that came without TLS 403.
	AccessMode string `toml:"access_mode" enum:"basic,strict" default:"basic" aka:"endpointAccessMode,endpoint_access_mode"`
	// Tell browsers to use nothing but HTTPS.
	HSTS *HSTS `toml:"hsts" short:"max_age" example:"{ max_age = \"8760h\" }" aka:"strict_transport_security"`
	// From where it can be reached: "regional", "private", "edge", or a table.
	Endpoint *Endpoint `toml:"endpoint" short:"type" example:"\"private\"" aka:"endpointConfiguration,endpoint_configuration,endpoint_type"`
}
