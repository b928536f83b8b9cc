package plugins

import "testing"

// What tests with a whole gateway around them (package plugins_test) use of this
// package's tests.

// Published returns a file of a Go module of others.
func Published(t testing.TB, module, path string) string { return published(t, module, path) }

// Authz compiles the policy of testdata/wasm/opa.
func Authz(t testing.TB) string { return authz(t) }

// RawExtism compiles the plugin of testdata/wasm/extism.
func RawExtism(t testing.TB) string { return rawExtism(t) }
