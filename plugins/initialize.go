package plugins

import "github.com/postern-gateway/postern/sdk/abi"

// initialize runs what a module of an ABI that isn't ours has to make itself
// ready: _initialize, else _start. A _start that ends with exit status 0 has done
// its work: some compilers end main so.
func (in *instance) initialize() error {
	if f := in.module.ExportedFunction(abi.ExportInitialize); f != nil {
		return in.run(f)
	}
	f := in.module.ExportedFunction(abi.ExportStart)
	if f == nil {
		return nil
	}
	err := in.run(f)
	if in.exited && in.exitCode == 0 {
		in.exited = false
		return nil
	}
	return err
}

// configuration is what a plugin of such an ABI reads as its own: config_text, or
// config as JSON; nothing if there is none.
func (p *plugin) configuration() string {
	if p.config == "{}" {
		return ""
	}
	return p.config
}
