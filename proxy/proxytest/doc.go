// Package proxytest plays scenarios against a whole gateway in this process:
// configuration, plugins, snapshot, server, and fake backends on loopback. Only
// tests use it.
//
// A scenario is a txtar archive. Its head is a script; its files are written to
// a fresh folder, postern.toml among them:
//
//	# A greedy parameter takes the rest of the path, slashes included.
//	backend cars
//	get /cars/suv/red/v8
//	status 200
//	saw cars GET /suv/red/v8
//	-- postern.toml --
//	[listen.public]
//	address = "127.0.0.1:0"
//	…
//	integration = { type = "http_proxy", url = "http://$CARS/{proxy}" }
//
// A line is a word and its arguments; # starts a comment line. An argument that
// is <<END goes on over the next lines up to a line END. The client and the
// backends read and write HTTP by code of their own, so that a mistake in the
// gateway's codec can't hide itself.
//
// # Backends
//
//	backend NAME [tls CERTIFICATE [asks AUTHORITY]]  starts one, or speaks of it again;
//	                                $NAME in capitals is its address in every file; it
//	                                may ask for certificates that AUTHORITY signed
//	answer STATUS [REASON]          what it answers; several answers are given
//	                                in turn, the last one for ever. Default: 200,
//	                                text/plain, "ok"
//	raw <<END                       an answer byte by byte
//	hang                            it never answers
//	cut                             it closes instead of an answer
//	close                           it closes after the answer before
//	tunnel                          after the answer before, it sends back what it gets
//	with NAME: VALUE                a field of the answer before
//	content TEXT                    the content of the answer before
//
// # Requests
//
//	host NAME                       for the requests that follow. Default: the
//	                                only domain of postern.toml, else the default
//	                                host of its only API
//	over tls [SNI] [as NAME] |      how the requests that follow arrive, and the
//	over http                       certificate that the client shows
//	listener NAME                   where; default "public"
//	get TARGET                      also head post put patch delete options
//	request VERB TARGET             any other verb
//	with NAME: VALUE                a field of the request before
//	content TEXT                    its content
//	sign ID SECRET [OPTION …]       signs it as AWS's clients do; what is added to it
//	                                afterwards isn't signed. Options: region=, service=,
//	                                token=, off=DURATION, presigned=SECONDS, payload=hash
//	                                or another X-Amz-Content-Sha256, chunk=BYTES, verb=
//	                                and target= of a request that is signed instead,
//	                                without=FIELD
//	send <<END                      a request byte by byte
//	reuse                           the next request goes on the open connection
//	more <<END                      further bytes on the open connection
//	next [VERB]                     reads the next answer; VERB asked for it
//	upgrade TARGET                  a GET that asks for a WebSocket; once it is there, further
//	                                requests go beside it
//	say TEXT                        sends the WebSocket a text
//	hangup CODE [REASON]            and a Close frame
//
// In raw, send and more each line ends with CRLF, unless it ends with a
// backslash; \r \n \t \\ and \xHH are bytes. ${COUNT*TEXT} repeats TEXT in
// everything that a script sends.
//
// # Expectations
//
//	status NUMBER
//	header NAME: VALUE              the field as spelled; a line for each field
//	                                of that name, no more and no fewer
//	header NAME ~ REGEXP            the same, for the whole value
//	no-header NAME …
//	headers <<END                   all fields, in any order
//	body TEXT | body ~ REGEXP       body alone: no content
//	json PATH VALUE                 PATH as $.pets[0].name or $['a b']; VALUE is
//	json PATH ~ REGEXP              JSON or the word absent
//	trailer NAME: VALUE
//	truncated                       the content breaks off before its end
//	nothing                         the connection closes without an answer
//	closed | open                   the connection after the answer
//	receives TEXT                   the next bytes after a switch of protocols
//	hear [TEXT | ~ REGEXP]          the next text of the WebSocket; body and json judge it too
//	ends CODE                       its Close frame, and its end
//	note NAME PATH                  $NAME is the text at PATH of the JSON of the answer, or of
//	                                what was heard
//	took MIN..MAX                   time from the request's last byte to the answer, or
//	                                to the end of a connection without one
//	saw NAME VERB TARGET            the next request that the backend got
//	saw header | no-header | headers | body | json | trailer …   of that request
//	unseen NAME                     the backend got no further request
//
// # Configuration
//
//	certificate NAME HOST …         writes NAME.crt and NAME.key, signed by themselves
//	authority NAME [by ISSUER]      the same for an authority, signed by an earlier one;
//	                                NAME.crt goes up to the root
//	client NAME [by ISSUER] [SERIAL | expired]  the same for a client
//	issuer NAME [RS256 | ES256]     makes a key for tokens; NAME.jwks and $NAME_KEYS
//	                                are its public half as a JWK set
//	token NAME ISSUER CLAIMS        $NAME in capitals is a JWT with these claims
//	guest NAME                      compiles testdata/wasm/NAME to NAME.wasm
//	published MODULE@VERSION PATH   copies a file of a Go module that others published
//	policy NAME ENTRYPOINT,…        compiles testdata/wasm/opa/NAME.rego to NAME.wasm
//	reload FILE                     FILE of the archive becomes postern.toml
//	refused [FILE]                  loading it (default: postern.toml) must fail
//	finding TEXT                    that failure names TEXT
//	findings NUMBER                 and has so many errors
package proxytest
