package plugins

import (
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// commandABI is a WASI command that gets an event on its standard input and
// answers on its standard output, once per instance.
type commandABI struct{}

func (commandABI) name() string { return "event" }

func (commandABI) fresh() bool { return true }

func (commandABI) provides() []hostModule { return nil }

func (commandABI) speaks(m *module) error {
	if m.exports[abi.ExportStart] == nil {
		return refuse("build a WASI command: in Go without -buildmode=c-shared", "the module doesn't export %s, so it isn't an event plugin", abi.ExportStart)
	}
	return nil
}

func (commandABI) check(m *module) error { return m.checkSignature(abi.ExportStart, "") }

func (commandABI) checkOptions(o config.Plugin) (option string, err error) {
	if len(o.Config) > 0 {
		return "config", refuse("use env", "an event plugin can't read a configuration")
	}
	return "", nil
}

// start does nothing: what a command does before it reads is part of its call.
func (commandABI) start(*instance) error { return nil }

func (commandABI) greet(*instance) (roles uint32, err error) { return abi.RoleIntegrate, nil }

// integrate runs the command from its start to its end.
func (commandABI) integrate(in *instance) error {
	in.renderEvent()
	in.stdin, in.stdout = in.event, true
	err := in.run(in.module.ExportedFunction(abi.ExportStart))
	if in.exited && in.exitCode == 0 {
		err = nil
	}
	in.answered = true // what is missing in the answer is for who reads it to say
	return err
}
