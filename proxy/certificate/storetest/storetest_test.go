package storetest_test

import (
	"testing"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/certificate/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) func() certificate.Store {
		m := storetest.NewMemory()
		return func() certificate.Store { return m }
	})
}

func TestDirectory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() certificate.Store {
		dir := t.TempDir()
		return func() certificate.Store { return certificate.NewDirectory(dir) }
	})
}
