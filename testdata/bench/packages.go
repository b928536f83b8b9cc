package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// debianPackage returns the package that brings a program.
func debianPackage(program string) string {
	if program == "h2load" {
		return "nghttp2-client"
	}
	return program
}

// installed reports whether a program is there. Debian has some of them in
// /usr/sbin, which isn't on everybody's path.
func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// install brings the programs that are missing from Debian, and stops what the
// packages started on the way.
func install(ctx context.Context, stderr io.Writer, programs []string) error {
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return err
	}
	var packages, missing []string
	for _, p := range programs {
		if !installed(p) {
			missing = append(missing, p)
			packages = append(packages, debianPackage(p))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	by := "apt-get install " + strings.Join(packages, " ")
	if !installed("apt-get") {
		return fmt.Errorf("%s missing, and there is no apt-get: install them yourself, or leave proxies out with -proxies", strings.Join(missing, ", "))
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s missing: as root, run: %s", strings.Join(missing, ", "), by)
	}
	fmt.Fprintln(stderr, "bench:", by)
	before := unitsRunning(ctx, packages)
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)} {
		c := exec.CommandContext(ctx, "apt-get", args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil && args[0] == "install" {
			return fmt.Errorf("%s: %w\n%s", by, err, out)
		}
	}
	var problems []error
	for _, p := range packages {
		if before[p] || !unitsRunning(ctx, []string{p})[p] {
			continue
		}
		fmt.Fprintf(stderr, "bench: stopping %s, which its package started\n", p)
		if out, err := unitCommand(ctx, p, "stop").CombinedOutput(); err != nil {
			problems = append(problems, fmt.Errorf("stop %s: %w\n%s", p, err, out))
		}
	}
	return errors.Join(problems...)
}

// unitCommand speaks to systemd or to what stands in for it.
func unitCommand(ctx context.Context, name, verb string) *exec.Cmd {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return exec.CommandContext(ctx, "systemctl", verb, name)
	}
	return exec.CommandContext(ctx, "service", name, verb)
}

// unitsRunning tells which packages have a daemon that runs.
func unitsRunning(ctx context.Context, packages []string) map[string]bool {
	running := map[string]bool{}
	for _, p := range packages {
		running[p] = unitCommand(ctx, p, "status").Run() == nil
	}
	return running
}

// versions asks each program who it is.
func versions(ctx context.Context, program string, proxies []string) map[string]string {
	ask := map[string][]string{
		nginx: {"nginx", "-v"}, haproxy: {"haproxy", "-v"}, caddy: {"caddy", "version"},
		"wrk": {"wrk", "-v"}, "h2load": {"h2load", "--version"}, postern: {program, "version"},
	}
	all := map[string]string{}
	for _, name := range append([]string{"wrk", "h2load", nginx}, proxies...) {
		out, _ := exec.CommandContext(ctx, ask[name][0], ask[name][1:]...).CombinedOutput() // wrk -v exits with 1
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		all[name] = line
	}
	return all
}
