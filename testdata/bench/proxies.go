package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The proxies.
const (
	nginx   = "nginx"
	haproxy = "haproxy"
	caddy   = "caddy"
	postern = "postern"
)

// mockAnswer is what every proxy answers by itself at /mock.
const mockAnswer = `{"ok":true}`

// place is where one proxy of one scenario lives.
type place struct {
	*site
	folder  string // its own
	plain   int    // port for HTTP/1.1
	secure  int    // port for TLS with HTTP/2 and HTTP/1.1
	admin   int    // postern's; 0 for none
	workers int
	files   int    // open files at most
	log     string // access log

	stock bool   // nginx: its own defaults
	guest string // postern: module of the guarded routes, or ""
	small string // postern: the same, hand-made
}

// program returns how to start a proxy whose configuration it writes.
func (p *place) program(name, postern string) (args, env []string, err error) {
	var text string
	file := filepath.Join(p.folder, name+".conf")
	goEnv := []string{fmt.Sprintf("GOMAXPROCS=%d", p.workers)}
	switch name {
	case nginx:
		text, args = p.nginx(), []string{"nginx", "-p", p.folder, "-c", file}
	case haproxy:
		text, args = p.haproxy(), []string{"haproxy", "-db", "-f", file}
	case caddy:
		text, args = p.caddy(), []string{"caddy", "run", "--adapter", "caddyfile", "--config", file}
		env = append(goEnv, "HOME="+p.folder, "XDG_DATA_HOME="+p.folder, "XDG_CONFIG_HOME="+p.folder)
	default:
		text, args = p.postern(), []string{postern, "run", "--no-watch", "-c", file}
		env = goEnv
	}
	return args, env, os.WriteFile(file, []byte(text), 0o644)
}

// nginxFrame is what backend and proxy have in common.
func nginxFrame(folder string, workers, files int, body string) string {
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "  %s_temp_path %s/%s;\n", kind, folder, kind)
	}
	return fmt.Sprintf(`daemon off;
worker_processes %d;
worker_rlimit_nofile %d;
pid %s/nginx.pid;
error_log %s/error.log warn;
events { worker_connections %d; }
http {
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
%s%s}
`, workers, files, folder, folder, files*3/4, temp.String(), body)
}

// backendConfig is the server behind all proxies: it does as little as possible.
func (s *site) backendConfig(folder string, files int) string {
	return nginxFrame(folder, 1, files, fmt.Sprintf(`  access_log off;
  open_file_cache max=16 inactive=1h;
  open_file_cache_valid 1h;
  client_body_buffer_size 64k;
  server {
    listen %s;
    root %s/www;
    location / { }
    location = /post { return 200 "$content_length\n"; }
    location = /status { stub_status; }
  }
`, s.backend, s.dir))
}

func (p *place) nginx() string {
	gather, buffers := " buffer=64k flush=50ms", "  proxy_buffer_size 16k;\n  proxy_buffers 8 16k;\n"
	if p.stock {
		gather, buffers = "", ""
	}
	return nginxFrame(p.folder, p.workers, p.files, fmt.Sprintf(`  access_log %s combined%s;
  proxy_cache_path %s/cache keys_zone=kept:1m;
%s  client_body_buffer_size 64k;
  upstream backend { server %s; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }
  server {
    listen %s:%d;
    listen %s:%d ssl http2;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    http2_max_requests 1000000000;
    location = /mock { default_type application/json; return 200 '%s'; }
    location /cached/ {
      proxy_pass http://backend/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache kept;
      proxy_cache_key $request_uri;
      proxy_cache_valid 200 1h;
      proxy_cache_lock on;
    }
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
`, p.log, gather, p.folder, buffers, p.backend, host, p.plain, host, p.secure, p.cert, p.key, mockAnswer))
}

func (p *place) haproxy() string {
	return fmt.Sprintf(`global
  no strict-limits
  nbthread %d
  maxconn %d
  log stdout format raw local0
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  http-reuse always
  timeout client 1h
  timeout server 1h
  timeout connect 5s
  timeout http-keep-alive 1h
frontend all
  bind %s:%d
  bind %s:%d ssl crt %s.both alpn h2,http/1.1
  option forwardfor
  http-request return status 200 content-type application/json string '%s' if { path /mock }
  http-request set-header X-Forwarded-Proto %%[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %%[req.hdr(host)]
  default_backend one
backend one
  server one %s
`, p.workers, p.files*3/4, host, p.plain, host, p.secure, p.cert, mockAnswer, p.backend)
}

func (p *place) caddy() string {
	return fmt.Sprintf(`{
	admin off
	auto_https off
	servers {
		protocols h1 h2
		timeouts {
			idle 1h
		}
	}
}
(all) {
	log {
		output file %s
	}
	respond /mock "%s"
	header /mock Content-Type application/json
	reverse_proxy %s {
		transport http {
			keepalive 1h
			keepalive_idle_conns 256
			keepalive_idle_conns_per_host 256
		}
	}
}
http://:%d {
	bind %s
	import all
}
https://:%d {
	bind %s
	tls %s %s {
		protocols tls1.3
	}
	import all
}
`, p.log, strings.ReplaceAll(mockAnswer, `"`, `\"`), p.backend, p.plain, host, p.secure, host, p.cert, p.key)
}

func (p *place) postern() string {
	var b strings.Builder
	admin := fmt.Sprintf("unix:%s/admin.sock", p.folder)
	if p.admin != 0 {
		admin = fmt.Sprintf("%s:%d", host, p.admin)
	}
	fmt.Fprintf(&b, `data_dir = "%s/state"
[admin]
address = "%s"
[log]
access = "%s"
[drain]
timeout = "1s"
[listen.plain]
address = "%s:%d"
limits = { requests = 1000000000, idle_timeout = "1h", connections = %d }
[listen.secure]
address = "%s:%d"
limits = { requests = 1000000000, idle_timeout = "1h" }
tls = { certificates = [{ cert = "%s", key = "%s" }], policy = "tls-1.3" }
[backend.one]
targets = ["%s"]
max_idle = 256
[api.bench]
type = "rest"
[api.bench.route."ANY /{proxy+}"]
integration = { type = "http_proxy", backend = "one", url = "http://backend/{proxy}" }
[api.bench.route."GET /mock"]
integration = { type = "mock" }
response.default.template."application/json" = '%s'
[api.bench.route."GET /cached/{proxy+}"]
integration = { type = "http_proxy", backend = "one", url = "http://backend/{proxy}" }
`, p.dir, admin, p.log, host, p.plain, p.files*3/4, host, p.secure, p.cert, p.key, p.backend, mockAnswer)
	if p.guest != "" {
		for name, module := range map[string]string{"guarded": p.guest, "checked": p.small} {
			fmt.Fprintf(&b, `[plugin.%s]
module = "%s"
config = { token = "sesame" }
[authorizer.%s]
type = "wasm"
plugin = "%s"
identity_source = ["method.request.header.Authorization"]
[api.bench.route."GET /%s/{proxy+}"]
authorizer = "%s"
integration = { type = "http_proxy", backend = "one", url = "http://backend/{proxy}" }
`, name, module, name, name, name, name)
		}
	}
	fmt.Fprintf(&b, `[api.bench.stage.live]
cache = { enabled = false, ttl = "1h" }
method."GET /cached/{proxy+}".cache = true
[domain."%s".map]
"/" = "bench:live"
`, host)
	return b.String()
}
