// Command opa compiles policies in Rego to WebAssembly, as `opa build -t wasm -e
// …` does, whose package for it this is:
//
//	opa OUT.wasm ENTRYPOINT[,ENTRYPOINT…] POLICY.rego…
//
// It is a module of its own, because OPA brings many others along.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/open-policy-agent/opa/v1/compile"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: opa OUT.wasm ENTRYPOINT[,ENTRYPOINT…] POLICY.rego…")
		os.Exit(2)
	}
	if err := build(os.Args[1], strings.Split(os.Args[2], ","), os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(out string, entrypoints, policies []string) error {
	c := compile.New().WithTarget(compile.TargetWasm).WithEntrypoints(entrypoints...).WithPaths(policies...).WithEnablePrintStatements(true)
	if err := c.Build(context.Background()); err != nil {
		return err
	}
	return os.WriteFile(out, c.Bundle().WasmModules[0].Raw, 0o600)
}
