module github.com/postern-gateway/postern/testdata/wasm/proxywasm

go 1.26.0

require github.com/proxy-wasm/proxy-wasm-go-sdk v0.0.0-20250212164326-ab4161dcf924
