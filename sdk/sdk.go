// Package sdk holds the guests' SDKs as files, for the command that begins a
// plugin: what it copies needs no registry and fits the gateway that made it.
package sdk

import "embed"

// Files are the SDKs as they lie in this folder.
//
//go:embed go abi/*.go c/*.h rust zig/*.zig assemblyscript js toolchains.sh
var Files embed.FS
