//go:build !race

package observe

import (
	"io"
	"testing"

	"github.com/postern-gateway/postern/proxy/config"
)

func TestRecordAllocates(t *testing.T) {
	ob := newObserver(t, Options{Log: config.Log{Access: "stdout"}, Stdout: io.Discard})
	stage, ex := ob.Stage("pets", "prod"), exchange()
	stage.Record(ex)
	if n := testing.AllocsPerRun(1000, func() { stage.Record(ex) }); n >= 1 {
		t.Errorf("%v allocations a record, want 0", n)
	}
}
