// Package postern is the guest's side of postern's plugins, for Go and for
// TinyGo. A plugin registers what it can do from an init function of its main
// package:
//
//	func init() { postern.Authorize(decide) }
//
//	func decide(r *postern.Request) postern.Decision { … }
//
//	func main() {} // never runs
//
// or FilterRequests, FilterResponses, MapRequests, MapResponses, Validate, Integrate
// and Handle, any of them together; and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o plugin.wasm .
//
// Whatever a plugin doesn't call it doesn't import, and what it doesn't import it
// needn't be granted. Body is such a thing: a plugin that never touches one is
// called before content has come.
//
// One instance serves one request at a time; several run side by side, and none
// lives for ever: what must last doesn't belong into a variable.
package postern
