package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
)

// decoded returns the configuration in file, which may have mistakes, such as
// variables that this shell doesn't have: of a gateway that runs only the address is
// wanted.
func decoded(s *streams, file string) (*config.Config, config.Findings, error) {
	if err := absent(file); err != nil {
		return nil, nil, &failure{exitInvalid, err}
	}
	cfg, findings := config.Load(file)
	if cfg == nil {
		return nil, nil, refused(s, findings)
	}
	return cfg, findings, nil
}

// reach calls running with the gateway that runs with cfg or, when none does, alone
// with the address at which nobody answered, and how that was found.
func reach(ctx context.Context, cfg *config.Config, running func(*control.Client) error, alone func(address string, nobody error) error) error {
	address, err := adminAddress(cfg)
	if err != nil {
		return &failure{exitFailed, err}
	}
	client, err := control.Dial(ctx, address)
	switch {
	case err == nil:
		defer client.Close()
		err = running(client)
	case errors.Is(err, control.ErrNobody):
		err = alone(address, err)
	default:
		err = fmt.Errorf("admin address %s: %w", address, err)
	}
	var failed *failure
	if err != nil && !errors.As(err, &failed) {
		return &failure{exitFailed, err}
	}
	return err
}
