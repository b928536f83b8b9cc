#!/bin/bash
# What testssl says of a listener that is configured with certificate files and
# nothing else. Fails with a finding above low, but for those about the certificate,
# which is made here and which nobody trusts, and below grade A where testssl rates:
# version 3.2 does, Debian's 3.0 doesn't. Run by `make testssl`; takes two minutes.
set -eu
cd "$(dirname "$0")/../.."
command -v testssl >/dev/null || apt-get install -y -qq testssl.sh >/dev/null
dir=$(mktemp -d)
gateway=
trap 'kill $gateway 2>/dev/null; wait $gateway || true; [ -n "${KEEP:-}" ] || rm -rf "$dir"' EXIT
for kind in ec rsa; do
	case $kind in
	ec) key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1) ;;
	rsa) key=(-newkey rsa:3072) ;;
	esac
	# An authority of our own, so that the rating is about TLS.
	openssl req -x509 "${key[@]}" -nodes -days 365 -subj "/CN=authority $kind" -keyout "$dir/ca-$kind.key" -out "$dir/ca-$kind.crt" 2>/dev/null
	openssl req -new "${key[@]}" -nodes -subj "/CN=localhost" -keyout "$dir/$kind.key" -out "$dir/$kind.csr" 2>/dev/null
	openssl x509 -req -in "$dir/$kind.csr" -CA "$dir/ca-$kind.crt" -CAkey "$dir/ca-$kind.key" -CAcreateserial -days 100 -out "$dir/$kind.crt" \
		-extfile <(printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n') 2>/dev/null
done
cat "$dir"/ca-*.crt >"$dir/roots.pem"
cat >"$dir/postern.toml" <<END
data_dir = "$dir/data"
[log]
access = "off"
[listen.public]
address = "127.0.0.1:0"
tls = { certificates = [{ cert = "ec.crt", key = "ec.key" }, { cert = "rsa.crt", key = "rsa.key" }] }
[api.a]
type = "rest"
[api.a.route."GET /"]
integration = { type = "mock" }
response.default.template."text/plain" = "ok"
[api.a.stage.prod]
[domain."localhost"]
map."/" = "a:prod"
hsts = "17520h"
END
bin/postern run --no-watch -c "$dir/postern.toml" >"$dir/out" 2>&1 &
gateway=$!
for _ in $(seq 100); do
	grep -q '"serving"' "$dir/out" && break
	sleep 0.1
done
port=$(sed -n 's/.*"listening".*"address":"127.0.0.1:\([0-9]*\)".*/\1/p' "$dir/out" | head -1)
testssl --quiet --color 0 --warnings off --nodns none --ip 127.0.0.1 --add-ca "$dir/roots.pem" \
	--csvfile "$dir/findings.csv" "localhost:$port" >"$dir/report" 2>&1 || true
if [ ! -s "$dir/findings.csv" ]; then
	cat "$dir/report"
	exit 1
fi
grep -E 'Overall Grade|Grade cap reasons|Final Score' "$dir/report" || true
echo "findings above low:"
# A certificate that was made a moment ago is in no transparency log, and its issuer
# answers nobody; what pages may do in browsers (security_headers) is for backends.
bad=$(awk -F '","' '$4 ~ /^(MEDIUM|HIGH|CRITICAL)$/ && $1 !~ /^"(cert_trust|cert_chain_of_trust|cert_revocation|cert_ocspURL|cert_caIssuers|certificate_transparency|DNS_CAArecord|cert_expirationStatus|security_headers)/' "$dir/findings.csv")
echo "${bad:-none}"
[ -z "$bad" ]
! grep -q 'Overall Grade' "$dir/report" || grep -q 'Overall Grade *A' "$dir/report"
