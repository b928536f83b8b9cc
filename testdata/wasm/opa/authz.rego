# The policy that tests run: who may do what with pets.
package authz

default allow := false

# Everybody may look.
allow if {
	input.method == "GET"
	input.path[0] == "pets"
}

# Who has the role in the data may do the rest.
allow if "admin" in data.roles[input.headers["x-user"]]

# The same, with more to say.
decision := {"allow": true, "principal": user, "context": {"level": 3, "admin": true, "path": concat("|", input.path)}} if {
	allow
	user := object.get(input.headers, "x-user", "nobody")
} else := {"allow": false, "status": 401} if {
	not input.headers["x-user"]
} else := {"allow": false, "message": sprintf("%s may not %s", [input.headers["x-user"], input.method])}

# Undefined for everybody but anna.
maybe if input.headers["x-user"] == "anna"

# What the policy sees, and what the host computes for it.
seen := {"allow": true, "context": {
	"input": json.marshal(object.remove(input, ["headers"])),
	"headers": json.marshal(input.headers),
	"data": json.marshal(data.roles),
}}

computed := {"allow": true, "context": {
	"year": format_int((time.now_ns() / 1000000000 / 86400 / 365) + 1970, 10),
	"same": time.now_ns() == time.now_ns(),
	"sprintf": sprintf("%s %d %.1f %v", ["a", 7, 1.5, [1, "x"]]),
	"sha256": crypto.sha256("abc"),
	"hmac": crypto.hmac.sha256("data", "key"),
	"hex": hex.decode(hex.encode("äb")),
	"query": urlquery.decode(urlquery.encode("a b&c")),
	"time": time.parse_rfc3339_ns("2000-01-01T00:00:00Z"),
	"duration": time.parse_duration_ns("1m"),
	"undefined": count([y | y := hex.decode("zz")]),
}} if {
	print("computing", {"a": input.method}, input.nothing)
	trace("traced")
}

token := {"allow": valid, "principal": claims.sub, "context": {"alg": header.alg}} if {
	[valid, header, claims] := io.jwt.decode_verify(input.headers.token, {"cert": data.keys, "iss": "us", "aud": "pets"})
	valid
}

# What doesn't come to a decision.
strange := {"allow": "yes"}

long := {"allow": true, "context": {"list": []}}

endless if {
	some i in numbers.range(1, 100000)
	some j in numbers.range(1, 100000)
	i * j < 0
}

conflict := x if some x in input.path
