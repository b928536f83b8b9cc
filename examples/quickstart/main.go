// Command quickstart runs the example of this folder: the demo backend, the
// gateway in front of it, and a list of requests to try. `make run` builds what
// it needs and starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/postern-gateway/postern/examples/quickstart/backend"
)

const (
	backendAddress = "127.0.0.1:9080" // as the stages of postern.toml say
	gatewayURL     = "http://localhost:8080"

	// startLimit is how long the gateway may take to answer. The first start
	// compiles the plugins; later ones find them in the cache.
	startLimit = time.Minute
	// stopLimit is how long the gateway may take to end, above its drain.timeout.
	stopLimit = 40 * time.Second
)

func main() {
	gateway := flag.String("gateway", "bin/postern", "the gateway's `program`")
	folder := flag.String("folder", "examples/quickstart", "`folder` with postern.toml and the plugins")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *gateway, *folder, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "quickstart: %v\n", err)
		os.Exit(1)
	}
}

// run runs backend and gateway until ctx ends or one of them does.
func run(ctx context.Context, gateway, folder string, stdout, stderr io.Writer) error {
	if err := built(gateway, folder); err != nil {
		return err
	}
	socket, err := net.Listen("tcp", backendAddress)
	if err != nil {
		return fmt.Errorf("the demo backend needs %s: %w", backendAddress, err)
	}
	server := &http.Server{Handler: backend.New(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	defer func() {
		_ = server.Close() // the gateway in front of it has ended already
		<-served
	}()

	child := exec.Command(gateway, "run", "-c", filepath.Join(folder, "postern.toml"))
	child.Stdout, child.Stderr = stdout, stderr
	// A group of its own: Ctrl-C at the terminal comes to this program alone,
	// which then stops the gateway in order.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := child.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()

	if err := ready(ctx, ended); err != nil {
		return errors.Join(err, end(child, ended))
	}
	fmt.Fprint(stdout, guide())
	select {
	case err := <-ended:
		ended <- err
		return errors.Join(errors.New("the gateway ended"), err)
	case <-ctx.Done():
		return end(child, ended)
	}
}

// built says what is missing before anything is started.
func built(gateway, folder string) error {
	needed := []string{gateway}
	for _, name := range []string{"postern.toml", "greeter.wasm", "guard.wasm"} {
		needed = append(needed, filepath.Join(folder, name))
	}
	for _, name := range needed {
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("%w; `make build examples` makes it", err)
		}
	}
	return nil
}

// ready waits until the gateway answers.
func ready(ctx context.Context, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		if resp, err := client.Get(gatewayURL + "/version"); err == nil {
			_ = resp.Body.Close() // only the status counts
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-pause.C:
		case err := <-ended:
			ended <- err
			return errors.New("the gateway didn't start")
		case <-ctx.Done():
			return fmt.Errorf("the gateway doesn't answer at %s: %w", gatewayURL, ctx.Err())
		}
	}
}

// end stops the gateway and waits for it.
func end(child *exec.Cmd, ended chan error) error {
	_ = child.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case err := <-ended:
		return err
	case <-time.After(stopLimit):
		return errors.Join(errors.New("the gateway doesn't stop and is killed"), child.Process.Kill(), <-ended)
	}
}
