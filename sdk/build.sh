#!/bin/sh
# Compiles a plugin written in any language that has an SDK or a recipe here:
#
#	sdk/build.sh SOURCE OUT.wasm
#
# The name of SOURCE says which: .c .cc .cpp .rs .ts (AssemblyScript) .zig .js .d
# .nim .wat, or a folder with a main.go; GO=tinygo takes TinyGo for that. Each
# recipe is the shortest command that does it, for you to copy: this script adds
# nothing but the paths. sdk/toolchains.sh installs the compilers.
#
# It exits with 3, and says why, when a compiler is missing.
set -eu

if [ $# -ne 2 ]; then
	sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
source=$1
case $2 in /*) out=$2 ;; *) out=$PWD/$2 ;; esac
sdk=$(cd "$(dirname "$0")" && pwd)
node=$("$sdk/toolchains.sh" where)

need() {
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "$tool is missing; sdk/toolchains.sh installs it" >&2; exit 3; }
	done
}

# What all of clang's languages need: a reactor without a C library, whose stack
# lies below its variables, so that an overflow traps. Or one with wasi-libc, for
# a source that includes any of its headers.
clang='-O2 -fno-exceptions -mbulk-memory -Wall -Wextra -Wl,--strip-debug,-z,stack-size=65536,--stack-first'
if grep -Eq '^#include <(stdio|stdlib|string|math|ctype|time)\.h>' "$source" 2>/dev/null; then
	clang="$clang --target=wasm32-wasi --sysroot=/usr -mexec-model=reactor"
else
	clang="$clang --target=wasm32 -nostdlib -Wl,--no-entry"
fi

case $source in
*.c)
	need clang-19 wasm-ld-19
	# shellcheck disable=SC2086 # a list of words
	clang-19 $clang -std=c11 -I "$sdk/c" -o "$out" "$source"
	;;
*.cc | *.cpp)
	need clang-19 wasm-ld-19
	# shellcheck disable=SC2086
	clang-19 $clang -std=c++20 -fno-rtti -I "$sdk/c" -o "$out" "$source"
	;;
*.rs)
	# The first rustc that has the target. Debian's needs lld 14, which takes the
	# metadata in its libraries.
	rust=
	for r in rustc /usr/bin/rustc; do
		if [ -d "$("$r" --print sysroot 2>/dev/null)/lib/rustlib/wasm32-unknown-unknown" ]; then rust=$r; break; fi
	done
	[ -n "$rust" ] || { echo "rustc with the target wasm32-unknown-unknown is missing; sdk/toolchains.sh installs it" >&2; exit 3; }
	linker=
	command -v wasm-ld-14 >/dev/null && linker='-C linker=wasm-ld-14'
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	features='--cfg feature="std" --cfg feature="alloc"'
	if grep -q '^#!\[no_std\]' "$source"; then features=; fi
	flags='--edition 2021 --target wasm32-unknown-unknown -C opt-level=3 -C panic=abort -C debuginfo=0'
	# shellcheck disable=SC2086 # lists of words
	"$rust" $flags --crate-type rlib --crate-name postern $features -o "$work/libpostern.rlib" "$sdk/rust/src/lib.rs"
	# shellcheck disable=SC2086
	"$rust" $flags $linker -C lto -C link-arg=-zstack-size=65536 -C link-arg=--strip-debug --crate-type cdylib --crate-name plugin \
		--extern "postern=$work/libpostern.rlib" -o "$out" "$source"
	;;
*.ts)
	need node
	[ -x "$node/.bin/asc" ] || { echo "asc is missing; sdk/toolchains.sh installs it" >&2; exit 3; }
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	ln -s "$sdk/assemblyscript" "$work/postern"
	"$node/.bin/asc" "$source" --path "$work" --runtime incremental -O3 --noAssert --exportStart _initialize \
		--use abort=~lib/postern/assembly/abort/abort -o "$out"
	;;
*.zig)
	[ -x "$node/.bin/zig" ] || { echo "zig is missing; sdk/toolchains.sh installs it" >&2; exit 3; }
	"$node/.bin/zig" build-exe -target wasm32-freestanding -O ReleaseSmall -fno-entry -rdynamic --stack 65536 \
		--dep postern "-Mroot=$source" "-Mpostern=$sdk/zig/postern.zig" "-femit-bin=$out"
	;;
*.js)
	need node clang-19 wasm-ld-19
	[ -x "$node/.bin/wizer" ] || { echo "wizer is missing; sdk/toolchains.sh installs it" >&2; exit 3; }
	"$sdk/js/build" "$source" "$out"
	;;
*.d)
	need ldc2 wasm-ld-19
	ldc2 -mtriple=wasm32-unknown-unknown-wasm -betterC -O2 --linker=wasm-ld-19 -L--no-entry -L-zstack-size=65536 -of="$out" "$source"
	;;
*.nim)
	need nim clang-19 wasm-ld-19
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	nim c --cc:clang --clang.exe:clang-19 --clang.linkerexe:clang-19 --cpu:wasm32 --os:any --mm:none -d:useMalloc -d:noSignalHandler --exceptions:goto -d:danger --noMain:on \
		--passC:"--target=wasm32-wasi -mbulk-memory -nostdlibinc -isystem /usr/include/wasm32-wasi -I$sdk/c" --passL:"--target=wasm32-wasi -nostdlib -Wl,--no-entry,-z,stack-size=65536" \
		--nimcache:"$work" --hints:off --out:"$out" "$source"
	;;
*.wat)
	need wat2wasm
	wat2wasm -o "$out" "$source"
	;;
*)
	[ -f "$source/main.go" ] || { echo "no recipe for $source" >&2; exit 2; }
	if [ "${GO:-go}" = tinygo ]; then
		tinygo=$("$sdk/toolchains.sh" where tinygo)
		[ -x "$tinygo/bin/tinygo" ] || { echo "TinyGo is missing; sdk/toolchains.sh tinygo builds it" >&2; exit 3; }
		(cd "$source" && TINYGOROOT=$tinygo "$tinygo/bin/tinygo" build -target postern -buildmode c-shared -no-debug -o "$out" .)
	else
		(cd "$source" && GOOS=wasip1 GOARCH=wasm "${GO:-go}" build -trimpath -buildmode=c-shared -o "$out" .)
	fi
	;;
esac
