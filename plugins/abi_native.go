package plugins

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// nativeABI is postern's own: ABI.md.
type nativeABI struct{}

// nativeGuest is what a native instance has of its own.
type nativeGuest struct {
	roles [roleCount]api.Function // by the number of the role's bit; nil for one that the module hasn't
}

const roleCount = 11

// runRole calls the export of a role.
func (in *instance) runRole(role uint32) (result int32, err error) {
	if err := in.run(in.native.roles[bits.TrailingZeros32(role)]); err != nil {
		return 0, err
	}
	if in.failed {
		return 0, &failure{"fail", errors.New(in.failure)}
	}
	return int32(in.stack[0]), nil
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
		if err := in.run(f); err != nil {
			return err
		}
		if in.failed {
			return &failure{"fail", errors.New(in.failure)}
		}
		if code := int32(in.stack[0]); code != 0 {
			return &failure{"answer", fmt.Errorf("%s returned %d", abi.ExportConfigure, code)}
		}
	}
	in.native = &nativeGuest{}
	for i, r := range abi.Roles() {
		in.native.roles[i] = in.module.ExportedFunction(r.Export)
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
		return 0, errors.New("the plugin registers none of the roles that it exports")
	}
	return roles, nil
}

// bodies: whoever imports a function that reads or writes content wants it.
func (nativeABI) bodies(in *instance) (request, response bool) {
	for _, f := range in.plugin.module.compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		if from == abi.Module && strings.HasPrefix(name, "body_") || from == abi.ModuleJSON && (name == "open" || name == "write_body") {
			return true, true
		}
	}
	return false, false
}

// streams: whoever wants any content whole, the event's among it, gets it so.
func (nativeABI) streams(in *instance) (pulls, sends bool) {
	m := in.plugin.module
	whole := m.importsAny(abi.Module, "body_len", "body_read", "event_read") || m.importsAny(abi.ModuleJSON, "open")
	return !whole && m.importsAny(abi.Module, "chunk_read"), m.importsAny(abi.Module, "chunk_write")
}

func (nativeABI) requestPiece(in *instance) (verdict int32, err error) {
	verdict, err = in.runRole(abi.RoleRequestBody)
	if err == nil && verdict != abi.Continue && verdict != abi.Refuse {
		err = &failure{"answer", fmt.Errorf("the verdict is %d", verdict)}
	}
	return verdict, err
}

func (nativeABI) responsePiece(in *instance) (verdict int32, err error) {
	verdict, err = in.runRole(abi.RoleResponseBody)
	if err == nil && verdict != abi.Continue {
		err = &failure{"answer", fmt.Errorf("%s returned %d", abi.ExportResponseBody, verdict)}
	}
	return verdict, err
}

func (nativeABI) authorize(in *instance) (decision int32, err error) {
	return in.runRole(abi.RoleAuthorize)
}

func (nativeABI) request(in *instance) (verdict int32, err error) {
	return in.runRole(abi.RoleRequest)
}

func (nativeABI) response(in *instance) error {
	verdict, err := in.runRole(abi.RoleResponse)
	if err == nil && verdict != abi.Continue {
		err = &failure{"answer", fmt.Errorf("%s returned %d", abi.ExportResponse, verdict)}
	}
	return err
}

func (nativeABI) validate(in *instance) (judgement int32, err error) {
	return in.runRole(abi.RoleValidate)
}

func (nativeABI) dns(in *instance) error { return in.doRole(abi.RoleDNS) }

func (nativeABI) certify(in *instance) (decision int32, err error) {
	return in.runRole(abi.RoleCertify)
}

func (nativeABI) mapRequest(in *instance) error { return in.doRole(abi.RoleMapRequest) }

func (nativeABI) mapResponse(in *instance) error { return in.doRole(abi.RoleMapResponse) }

func (nativeABI) integrate(in *instance) error {
	if err := in.doRole(abi.RoleIntegrate); err != nil {
		return err
	}
	if begun := in.stream != nil && in.stream.begun; !begun && !in.answered && in.draft.changes == 0 {
		return &failure{"answer", errors.New("the plugin made no answer")}
	}
	return nil
}

// doRole calls the export of a role that has to return 0.
func (in *instance) doRole(role uint32) error {
	code, err := in.runRole(role)
	if err == nil && code != 0 {
		err = &failure{"answer", fmt.Errorf("the plugin returned %d", code)}
	}
	return err
}
