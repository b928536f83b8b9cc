package proxy

import (
	"regexp"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

func TestPassingFromClient(t *testing.T) {
	f := func(connection, name, value string, dropped bool) {
		t.Helper()
		fields := http1.Fields{{Name: "Accept", Value: "*/*"}}
		if connection != "" {
			fields.Add("connection", connection)
		}
		field := http1.Field{Name: name, Value: value}
		p := PassingOf(fields)
		if got := p.FromClient(&field); got != dropped {
			t.Errorf("Connection: %q, %s: %s: dropped %v, want %v", connection, name, value, got, dropped)
		}
	}
	// AWS's recorded list.
	for _, name := range []string{"Connection", "Content-Length", "Content-MD5", "Expect", "Max-Forwards", "Proxy-Authenticate",
		"Server", "TE", "Transfer-Encoding", "Trailer", "Upgrade", "WWW-Authenticate"} {
		f("", name, "x", true)
	}
	// Hop by hop.
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "HTTP2-Settings", "Proxy-Authorization"} {
		f("", name, "x", true)
	}
	// What Connection names, in any case, among others, in any of its fields.
	f("close, X-Secret", "x-secret", "1", true)
	f(" x-a ,x-b,", "X-B", "1", true)
	f("keep-alive", "X-B", "1", false)
	f("Upgrade", "X-B", "1", false)
	f("x-bb", "X-B", "1", false)
	// What a gateway says of the client, in every spelling.
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Port", "X-Forwarded-Proto",
		"X-Forwarded-Prefix", "X-Forwarded-Server", "X_Forwarded_For", "x_forwarded-proto", "X-FORWARDED_PREFIX", "X-Real-IP", "X_Real_IP",
		"X_HTTP_Method_Override", "X-HTTP_Method-Override", "X-Amzn-Trace-Id", "X_Amzn_Trace_Id", "X-Amzn-Apigateway-Api-Id", "x-amzn_apigateway_api_id",
		"X-Client-Cert", "x-client-cert-chain", "X_Client_Certificate", "Client-Cert", "client-cert-chain", "Client_Cert", "SSL-Client-Verify", "ssl_client_s_dn",
		"X-SSL-Client-Cert", "X_SSL_CERT", "X-Amzn-Oidc-Identity", "x_amzn_oidc_data", "X-Amzn-Mtls-Clientcert", "X-Amzn-Lattice-Identity", "X-Postern-Anything",
		"x_postern_x", "X_Amzn_RequestId", "x_amz_apigw_id", "X-Original-URL", "X_Original_URL", "X-Rewrite-URL", "X-HTTP-Method", "X-Method-Override"} {
		f("", name, "x", true)
	}
	// A signature for the gateway.
	f("", "Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/local/execute-api/aws4_request", true)
	f("", "authorization", "AWS4-ECDSA-P256-SHA256 Credential=AKID", true)
	f("", "Authorization", "Bearer AWS4-HMAC", false)
	// Everything else goes on.
	for _, name := range []string{"Accept", "Cookie", "X-Forward", "X-Forwarded", "X-Real-IPs", "X-Reality", "X", "XX", "Host", "Via", "Content-Encoding",
		"Content-Type", "User-Agent", "Traceparent", "X-Amzn-Other", "X-Amzn-Bedrock-GuardrailIdentifier", "X-Client-Id", "Client-Id-X", "X-Api-Key", "X-Original", "SSL-Other-X"} {
		f("", name, "x", false)
	}
}

// Two Connection fields count as one list. RFC 9110, 5.3.
func TestPassingSeveralConnections(t *testing.T) {
	p := PassingOf(http1.Fields{{Name: "Connection", Value: "close"}, {Name: "Connection", Value: "x-b"}})
	field := http1.Field{Name: "X-B"}
	if !p.HopByHop(&field) {
		t.Error("a field that the second Connection names goes on")
	}
}

func TestTraceID(t *testing.T) {
	form := regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`)
	const root = "1-5759e988-bd862e3fe1be46a994272793"
	f := func(header string, kept bool) {
		t.Helper()
		var ex Exchange
		ex.Begin(time.Unix(0x5759e900, 0), nil)
		if header != "" {
			ex.In.Fields.Add("X-Amzn-Trace-Id", header)
		}
		got := ex.TraceID()
		if !form.MatchString(got) {
			t.Fatalf("%q: got %q, which has another form", header, got)
		}
		if got[5:5+len(root)] == root != kept {
			t.Errorf("%q: got %q; root kept should be %v", header, got, kept)
		}
		if !kept && got[7:15] != "5759e900" {
			t.Errorf("%q: got %q, whose root doesn't tell the time", header, got)
		}
		if again := ex.TraceID(); again != got {
			t.Errorf("%q: first %q, then %q", header, got, again)
		}
	}
	f("", false)
	f("Root="+root, true)
	f("Self=1-67891234-12456789abcdef012345678;Root="+root+";Parent=aaaaaaaaaaaaaaaa;Sampled=1", true)
	f("Parent=aaaaaaaaaaaaaaaa; Root="+root, true)
	// Malformed roots are replaced: they'd go into logs and other people's traces.
	f("Root=1-5759e988-bd862e3fe1be46a99427279", false)
	f("Root=2-5759e988-bd862e3fe1be46a994272793", false)
	f("Root=1-5759e988-bd862e3fe1be46a99427279g", false)
	f("root="+root, false)
	f(";;;", false)
}
