package plugins

import (
	"bytes"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/plugins/meter"
)

const (
	exportSave    = meter.Save
	exportRestore = meter.Restore
)

// snapshot is an instance's state after its start.
type snapshot struct {
	image   []byte // of the memory, up to its last byte that isn't zero
	size    int    // of the memory
	restore api.Function
}

// snap notes in's state for reset.
func (in *instance) snap() error {
	if err := in.run(in.module.ExportedFunction(exportSave)); err != nil {
		return err
	}
	memory := in.view(0, uint64(in.memory.Size()))
	// One copy for each instance: a start may have asked for time and random bytes.
	s := &snapshot{size: len(memory), restore: in.module.ExportedFunction(exportRestore)}
	s.image = bytes.Clone(bytes.TrimRight(memory, "\x00"))
	in.plugin.host.budget.force(in.plugin.counters, int64(len(s.image)))
	in.initial = s
	return nil
}

// reset brings in back to its state after the start. The memory that it got
// since stays its own, but the guest neither sees it nor what was in it.
func (in *instance) reset() error {
	s := in.initial
	if err := s.restore.CallWithStack(in, in.stack[:]); err != nil {
		return in.judge(err)
	}
	memory := in.view(0, uint64(in.memory.Size()))
	clear(memory[copy(memory, s.image):s.size])
	if len(memory) > s.size {
		in.linear.discard(s.size, len(memory))
	}
	return nil
}
