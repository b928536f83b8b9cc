package plugins

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/sdk/abi"
)

// nativeABI is postern's own: ABI.md.
type nativeABI struct{}

// nativeGuest is what a native instance has of its own.
type nativeGuest struct {
	authorize api.Function // nil for a role that the module hasn't
	integrate api.Function
}

func (nativeABI) name() string { return "native" }

func (nativeABI) fresh() bool { return false }

func (nativeABI) speaks(m *module) error {
	if m.exports[abi.ExportVersion] == nil {
		return refuse("a native plugin is built with an SDK of postern", "the module doesn't export %s, so it isn't a native plugin", abi.ExportVersion)
	}
	return nil
}

func (nativeABI) check(m *module) error {
	if m.exports[abi.ExportStart] != nil {
		return refuse("build a reactor: in Go with -buildmode=c-shared", "the module exports %s: a native plugin is called more than once", abi.ExportStart)
	}
	results := map[string]string{abi.ExportVersion: "i", abi.ExportRoles: "i", abi.ExportConfigure: "i", abi.ExportInitialize: ""}
	roles, names := 0, []string{}
	for _, r := range abi.Roles() {
		results[r.Export] = "i"
		names = append(names, r.Export)
		if m.exports[r.Export] != nil {
			roles++
		}
	}
	for name, result := range results {
		if err := m.checkSignature(name, result); err != nil {
			return err
		}
	}
	if roles == 0 {
		return refuse("", "the module has no role: it exports none of %s", strings.Join(names, ", "))
	}
	return nil
}

func (nativeABI) checkOptions(o config.Plugin) (option string, err error) {
	if len(o.Env) > 0 {
		return "env", refuse("use config", "a native plugin has no environment variables")
	}
	return "", nil
}

// start runs _initialize and postern_configure.
func (nativeABI) start(in *instance) error {
	if f := in.module.ExportedFunction(abi.ExportInitialize); f != nil {
		if err := in.run(f); err != nil {
			return err
		}
	}
	if f := in.module.ExportedFunction(abi.ExportConfigure); f != nil {
		if err := in.succeed(f, abi.ExportConfigure); err != nil {
			return err
		}
	}
	in.native = &nativeGuest{
		authorize: in.module.ExportedFunction(abi.ExportAuthorize),
		integrate: in.module.ExportedFunction(abi.ExportIntegrate),
	}
	return nil
}

// greet asks for the version and the roles.
func (nativeABI) greet(in *instance) (roles uint32, err error) {
	ask := func(export string) (uint32, error) {
		in.begin(abi.Start, nil, nil, startTimeout)
		if err := in.run(in.module.ExportedFunction(export)); err != nil {
			return 0, refuse("", "%s: %v", export, err)
		}
		return uint32(in.stack[0]), nil
	}
	version, err := ask(abi.ExportVersion)
	if err != nil {
		return 0, err
	}
	if version>>16 != abi.Major || version&0xffff > abi.Minor {
		return 0, refuse("build it with the SDK of this release",
			"the plugin needs ABI version %d.%d; this host has %d.%d", version>>16, version&0xffff, abi.Major, abi.Minor)
	}
	exports := in.plugin.module.exports
	for _, r := range abi.Roles() {
		if exports[r.Export] != nil {
			roles |= r.Bit
		}
	}
	if exports[abi.ExportRoles] == nil {
		return roles, nil
	}
	meant, err := ask(abi.ExportRoles)
	if err != nil {
		return 0, err
	}
	if roles &= meant; roles == 0 {
		return 0, errors.New("the plugin registers no role: neither an authorizer nor an integration")
	}
	return roles, nil
}

func (nativeABI) authorize(in *instance) (decision int32, err error) {
	if err := in.run(in.native.authorize); err != nil {
		return 0, err
	}
	if in.failed {
		return 0, &failure{"fail", errors.New(in.failure)}
	}
	return int32(in.stack[0]), nil
}

func (nativeABI) integrate(in *instance) error {
	if err := in.succeed(in.native.integrate, abi.ExportIntegrate); err != nil {
		return err
	}
	if !in.answered {
		return &failure{"answer", errors.New("the plugin wrote no answer")}
	}
	return nil
}

// succeed runs an export that has to return 0.
func (in *instance) succeed(f api.Function, name string) error {
	if err := in.run(f); err != nil {
		return err
	}
	if in.failed {
		return &failure{"fail", errors.New(in.failure)}
	}
	if code := int32(in.stack[0]); code != 0 {
		return &failure{"answer", fmt.Errorf("%s returned %d", name, code)}
	}
	return nil
}

// coreFunctions are the functions that every native plugin may call.
func coreFunctions() hostModule {
	return native(abi.Module, "", map[string]hostCall{
		"field_get": func(in *instance, s []uint64) {
			value, ok := in.field(int32(s[0]))
			if !ok {
				answer(s, abi.BadArgument)
				return
			}
			answer(s, in.put(s[1], s[2], value))
		},
		"map_count": func(in *instance, s []uint64) { answer(s, in.mapCount(int32(s[0]))) },
		"map_get": func(in *instance, s []uint64) {
			value, code := in.mapGet(int32(s[0]), in.text(s[1], s[2]))
			if code == abi.OK {
				code = in.put(s[3], s[4], value)
			}
			answer(s, code)
		},
		"map_entry": func(in *instance, s []uint64) {
			name, value, code := in.mapEntry(int32(s[0]), uint32(s[1]))
			if code != abi.OK {
				s[0] = api.EncodeI64(int64(code))
				return
			}
			n := in.put(s[2], s[3], name)
			s[0] = uint64(n)<<32 | uint64(in.put(s[4], s[5], value))
		},
		"principal_set": func(in *instance, s []uint64) { answer(s, in.setPrincipal(in.text(s[0], s[1]))) },
		"context_set": func(in *instance, s []uint64) {
			answer(s, in.setContext(in.text(s[0], s[1]), in.text(s[2], s[3])))
		},
		"event_read":   func(in *instance, s []uint64) { answer(s, in.readEvent(s[0], s[1])) },
		"result_write": func(in *instance, s []uint64) { answer(s, in.writeResult(in.view(s[0], s[1]))) },
		"config_read": func(in *instance, s []uint64) {
			answer(s, in.put(s[0], s[1], in.plugin.config))
		},
		"log":           func(in *instance, s []uint64) { answer(s, in.logLine(s[0], in.view(s[1], s[2]))) },
		"log_enabled":   func(in *instance, s []uint64) { answer(s, in.logEnabled(s[0])) },
		"time":          func(in *instance, s []uint64) { s[0] = uint64(in.plugin.host.clock().UnixNano()) },
		"random":        func(in *instance, s []uint64) { answer(s, in.random(s[0], s[1])) },
		"deadline_left": func(in *instance, s []uint64) { s[0] = api.EncodeI64(max(0, int64(in.left()))) },
		"fail":          func(in *instance, s []uint64) { answer(s, in.fail(in.text(s[1], s[2]), int32(s[0]))) },
	})
}

func (in *instance) setPrincipal(id string) int32 {
	if !utf8.ValidString(id) {
		return abi.BadArgument
	}
	if len(id) > abi.MaxPrincipal {
		return abi.Limit
	}
	in.principal = in.ex.Text.Concat(id)
	return abi.OK
}

// setContext sets one entry of the authorizer's context. A name that was set
// before gets the new value.
func (in *instance) setContext(name, value string) int32 {
	if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
		return abi.BadArgument
	}
	at := slices.IndexFunc(in.context, func(p proxy.Param) bool { return p.Name == name })
	if in.contextSize+len(name)+len(value) > abi.MaxContext || at < 0 && len(in.context) >= abi.MaxContextEntries {
		return abi.Limit
	}
	in.contextSize += len(name) + len(value)
	if at >= 0 {
		in.context[at].Value = in.ex.Text.Concat(value)
		return abi.OK
	}
	in.context = append(in.context, proxy.Param{Name: in.ex.Text.Concat(name), Value: in.ex.Text.Concat(value)})
	return abi.OK
}

// readEvent renders the event on its first use.
func (in *instance) readEvent(at, size uint64) int32 {
	if !in.rendered {
		in.event = event.AppendRequest(in.event[:0], in.ex)
		in.rendered = true
	}
	b := in.view(at, size)
	if len(in.event) <= len(b) {
		copy(b, in.event)
	}
	return int32(len(in.event))
}

// writeResult copies the answer: it has to outlive the instance's next call.
func (in *instance) writeResult(b []byte) int32 {
	if len(b) > abi.MaxResult {
		return abi.Limit
	}
	in.result = append([]byte(nil), b...)
	in.answered = true
	return abi.OK
}

func (in *instance) logLine(n uint64, text []byte) int32 {
	l, ok := level(n)
	if !ok {
		return abi.BadArgument
	}
	if !in.log(l, text) {
		return abi.Limit
	}
	return abi.OK
}

func (in *instance) logEnabled(n uint64) int32 {
	l, ok := level(n)
	switch {
	case !ok:
		return abi.BadArgument
	case in.plugin.logger.Core().Enabled(l):
		return 1
	}
	return 0
}

func (in *instance) random(at, n uint64) int32 {
	b := in.view(at, n)
	if len(b) > abi.MaxRandom {
		return abi.Limit
	}
	if _, err := io.ReadFull(in.plugin.host.entropy, b); err != nil {
		panic(err)
	}
	return abi.OK
}

// fail notes why the guest can't do what it was asked. The first reason counts.
func (in *instance) fail(text string, code int32) int32 {
	if in.failed {
		return abi.OK
	}
	if len(text) > abi.MaxFailure {
		text = text[:abi.MaxFailure]
	}
	in.failed, in.failure = true, failureText(code, text)
	return abi.OK
}
