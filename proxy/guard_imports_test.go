package proxy_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says what each package may import, besides the standard library: our
// own packages by folder, then the modules it owns by the names of modules
// below. An owner that ends in /... stands for everything below it. Changing a
// line is a commit of its own, with the reason.
const layers = `
proxy/http1           :
proxy/uri             :
proxy/mask            :
proxy/explain         : proxy/http1 proxy/mask
proxy/reach           :
proxy/document        : proxy/uri
proxy/jose            : proxy/document jwt
proxy/pattern         :
proxy/expr            : proxy/pattern
proxy/config          : toml
proxy/state           : bbolt
proxy/usage           : proxy/state zap
proxy/cache           : ristretto
proxy/truststore      :
proxy/deployment      : proxy/config
proxy/zone            : proxy/config libdns dns aws net/http
proxy/zone/zonetest   : dns
proxy/certificate     : proxy/config proxy/zone certmagic acmez libdns ocsp zap net/http
proxy/certificate/storetest : proxy/certificate proxy/pausetest
proxy/certificate/pebbletest : net/http
proxy/clients         :
proxy/pausetest       :
proxy/wire            : x/sys
sdk                   :
sdk/abi               :
sdk/go                : sdk/abi
sdk/guests            :
plugins/keyvalue      :
plugins/outbound      : proxy/config proxy/http1 proxy/reach net/http
plugins/meter         :
plugins/manifest      : jsonschema x/text
plugins/supply        : oras oci minisign net/http
plugins/supply/supplytest : net/http
proxy                 : proxy/http1 proxy/config proxy/explain zap
proxy/event           : proxy proxy/http1 proxy/document proxy/uri
proxy/upstream        : proxy proxy/http1 proxy/config proxy/uri proxy/wire zap x/net proxyproto net/http
proxy/shadow          : proxy proxy/http1 proxy/config
proxy/snapshot        : proxy proxy/http1 proxy/config proxy/uri proxy/truststore zap
proxy/otlp            : zap prometheus protobuf net/http
proxy/observe         : proxy proxy/http1 proxy/config proxy/mask proxy/otlp zap prometheus
proxy/overload        : x/sys
proxy/http2           : proxy/http1 proxy/wire x/net
proxy/http3           : proxy/http1 proxy/http2 quic
proxy/websocket       : proxy proxy/config proxy/document proxy/expr proxy/http1 zap
proxy/server          : proxy proxy/explain proxy/certificate proxy/clients proxy/http1 proxy/http2 proxy/http3 proxy/config proxy/snapshot proxy/wire proxy/overload zap x/sys proxyproto
proxy/control         : proxy/websocket proxy/shadow proxy/explain proxy/certificate proxy/usage proxy/deployment zap prometheus net/http
builtins/internal/vtl : proxy/expr proxy/pattern
builtins/internal/oidc : proxy/document proxy/jose proxy/reach zap net/http
builtins/internal/sigv4 : proxy/http1 proxy/uri
builtins/internal/iam : proxy/document proxy/uri
builtins/access       : proxy proxy/http1 proxy/config builtins/internal/iam
builtins/authorizer   : proxy proxy/http1 proxy/config proxy/uri proxy/pattern proxy/document proxy/event proxy/cache builtins/mapping builtins/access builtins/internal/sigv4 builtins/internal/oidc builtins/integration proxy/jose zap
builtins/internal/iam : proxy/document proxy/uri
builtins/integration  : proxy proxy/http1 proxy/config proxy/uri proxy/pattern builtins/mapping builtins/coding
builtins/usage        : proxy proxy/config proxy/usage
builtins/internal/origin :
builtins/responsecache : proxy proxy/http1 proxy/config proxy/cache builtins/access builtins/mapping
builtins/guard        : proxy proxy/clients proxy/config builtins/internal/origin
builtins/cors         : proxy proxy/http1 proxy/config builtins/internal/origin
builtins/gatewayresponse : proxy proxy/http1 proxy/config proxy/document builtins/mapping
builtins/internal/schema : proxy/document regexp2
builtins/internal/xmljson : proxy/document
builtins/validation   : proxy proxy/http1 proxy/config builtins/internal/schema builtins/mapping
builtins/mapping      : proxy proxy/http1 proxy/config proxy/uri proxy/expr proxy/event builtins/internal/vtl builtins/internal/xmljson
builtins/workbench    : proxy/config proxy/expr builtins/internal/vtl
builtins/coding       : proxy proxy/http1 proxy/config compress brotli
builtins              : proxy proxy/websocket builtins/guard builtins/access builtins/authorizer builtins/integration builtins/coding builtins/cors builtins/gatewayresponse builtins/responsecache builtins/usage builtins/validation
plugins               : proxy proxy/http1 proxy/config proxy/event proxy/uri proxy/document proxy/jose proxy/zone libdns sdk/abi plugins/meter plugins/keyvalue plugins/outbound plugins/supply plugins/manifest wazero zap
plugins/scaffold      : plugins/manifest sdk
plugins/trial         : proxy proxy/http1 proxy/config proxy/snapshot builtins plugins libdns zap txtar
proxy/proxytest       : proxy proxy/certificate proxy/config proxy/server proxy/shadow proxy/snapshot proxy/upstream builtins builtins/guard builtins/responsecache builtins/authorizer builtins/usage proxy/usage proxy/websocket plugins zap txtar
cmd/postern           : proxy proxy/explain proxy/deployment proxy/certificate proxy/overload proxy/truststore proxy/config proxy/server proxy/shadow proxy/snapshot proxy/upstream proxy/observe proxy/control proxy/state proxy/usage proxy/websocket builtins builtins/guard builtins/responsecache builtins/usage builtins/mapping builtins/access builtins/authorizer builtins/workbench plugins plugins/supply plugins/manifest plugins/trial plugins/scaffold sdk/abi zap cobra fsnotify prometheus go-systemd x/sys
examples/...          : sdk/go net/http
`

// modules are the import paths behind the short names in layers. net/http is
// among them because the engine has its own HTTP/1.1 and must not lean on it.
const modules = `
toml        github.com/BurntSushi/toml
ristretto   github.com/dgraph-io/ristretto/v2
jwt         github.com/golang-jwt/jwt/v5
bbolt       go.etcd.io/bbolt
zap         go.uber.org/zap
wazero      github.com/tetratelabs/wazero
cobra       github.com/spf13/cobra
fsnotify    github.com/fsnotify/fsnotify
prometheus  github.com/prometheus
protobuf    google.golang.org/protobuf
certmagic   github.com/caddyserver/certmagic
acmez       github.com/mholt/acmez/v3
ocsp        golang.org/x/crypto/ocsp
libdns      github.com/libdns/libdns
dns         github.com/miekg/dns
aws         github.com/aws/aws-sdk-go-v2
x/net       golang.org/x/net
x/sys       golang.org/x/sys
go-systemd  github.com/coreos/go-systemd/v22
txtar       golang.org/x/tools/txtar
proxyproto  github.com/pires/go-proxyproto
oras        oras.land/oras-go/v2
oci         github.com/opencontainers
minisign    aead.dev/minisign
jsonschema  github.com/santhosh-tekuri/jsonschema/v6
x/text      golang.org/x/text
compress    github.com/klauspost/compress
brotli      github.com/andybalholm/brotli
regexp2     github.com/dlclark/regexp2
quic        github.com/quic-go
net/http    net/http
`

// layer is one line of layers.
type layer struct {
	owner   string
	allowed []string
}

func readLayers() []layer {
	var all []layer
	for line := range strings.Lines(layers) {
		owner, rest, found := strings.Cut(line, ":")
		if found {
			all = append(all, layer{strings.TrimSpace(owner), strings.Fields(rest)})
		}
	}
	return all
}

// covers reports whether pattern, a folder or FOLDER/..., stands for dir.
func covers(pattern, dir string) bool {
	above, all := strings.CutSuffix(pattern, "/...")
	return dir == above || all && strings.HasPrefix(dir, above+"/")
}

// shortName returns the name of layers for an import path: the folder of a
// package of ours, or the name of a module; "" for the standard library.
func shortName(imported string) string {
	if own, found := strings.CutPrefix(imported, module); found {
		return own
	}
	for line := range strings.Lines(modules) {
		fields := strings.Fields(line)
		if len(fields) == 2 && (imported == fields[1] || strings.HasPrefix(imported, fields[1]+"/")) {
			return fields[0]
		}
	}
	if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
		return imported // a module without an owner
	}
	return ""
}

func TestGuardImports(t *testing.T) {
	all := readLayers()
	for _, f := range product(t) {
		var own *layer
		for i := range all {
			if covers(all[i].owner, f.dir) {
				own = &all[i]
				break
			}
		}
		if own == nil {
			t.Errorf("%s: package %s has no line in layers", f.path, f.dir)
			continue
		}
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Name != nil && spec.Name.Name == "_" && imported != "embed" {
				t.Errorf("%s: imports %s for its side effects", f.place(spec.Pos()), imported)
			}
			name := shortName(imported)
			if name == "" || allowed(own, f.dir, name) {
				continue
			}
			t.Errorf("%s: %s may not import %s", f.place(spec.Pos()), f.dir, name)
		}
	}
}

func allowed(own *layer, dir, name string) bool {
	if strings.HasSuffix(own.owner, "/...") && covers(own.owner, name) {
		return true // an example is several packages
	}
	if slices.Contains(own.allowed, name) {
		return true
	}
	// Internal packages belong to the package above them.
	return strings.HasPrefix(name, dir+"/internal/")
}

// What layers allows and nobody uses would let in what nobody decided.
func TestGuardLayersAreUsed(t *testing.T) {
	dirs, groups := byDir(product(t))
	for _, l := range readLayers() {
		used := map[string]bool{}
		found := false
		for _, dir := range dirs {
			if !covers(l.owner, dir) {
				continue
			}
			found = true
			for _, f := range groups[dir] {
				for _, spec := range f.ast.Imports {
					used[shortName(strings.Trim(spec.Path.Value, `"`))] = true
				}
			}
		}
		if !found {
			t.Errorf("layers has a line for %s, which has no Go files", l.owner)
			continue
		}
		for _, name := range l.allowed {
			if !used[name] {
				t.Errorf("layers lets %s import %s, which it doesn't", l.owner, name)
			}
		}
	}
}
