#!/bin/bash
# Slow headers, slow bodies and slow readers by slowhttptest, 500 of each, against
# a gateway of our own on loopback. Meanwhile others are served at once, and in
# the end no slow client is left. Run by `make slowhttptest`; takes a minute.
set -eu
cd "$(dirname "$0")/../.."
command -v slowhttptest >/dev/null || apt-get install -y -qq slowhttptest >/dev/null
dir=$(mktemp -d)
cat >"$dir/postern.toml" <<END
data_dir = "$dir/data"
[log]
access = "off"
[listen.public]
address = "127.0.0.1:0"
limits = { header_timeout = "3s", body_timeout = "3s", write_timeout = "3s" }
[api.slow]
type = "rest"
[api.slow.route."ANY /x"]
integration = { type = "mock" }
response.default.template."text/plain" = "ok"
[api.slow.stage.prod]
[domain."127.0.0.1".map]
"/" = "slow:prod"
END
bin/postern run --no-watch -c "$dir/postern.toml" >"$dir/out" 2>&1 &
gateway=$!
trap 'kill $gateway 2>/dev/null; wait $gateway || true; rm -rf "$dir"' EXIT
for _ in $(seq 100); do
	grep -q '"serving"' "$dir/out" && break
	sleep 0.1
done
port=$(sed -n 's/.*"listening".*"address":"127.0.0.1:\([0-9]*\)".*/\1/p' "$dir/out" | head -1)
failed=0
for mode in "-H" "-B -s 8192" "-X -k 3 -w 10 -y 20 -n 5 -z 32"; do
	# shellcheck disable=SC2086 # the mode is several words
	timeout 40 slowhttptest $mode -c 500 -r 200 -i 2 -l 12 -p 2 -u "http://127.0.0.1:$port/x" >"$dir/slow" 2>&1 &
	attack=$!
	sleep 4
	bad=0
	for _ in $(seq 50); do
		[ "$(curl -s -m 1 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/x")" = 200 ] || bad=$((bad + 1))
	done
	wait $attack || true
	echo "slowhttptest $mode: $bad of 50 requests beside it not answered within a second"
	[ $bad = 0 ] || failed=1
done
sleep 4
left=$(curl -s --unix-socket "$dir/data/admin.sock" http://localhost/metrics | sed -n 's/^postern_connections[a-z_]* //p' | head -1)
echo "connections left: ${left:-unknown}"
[ "${left:-1}" = 0 ] || failed=1
exit $failed
