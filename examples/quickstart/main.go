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
	// startLimit is how long the gateway may take to answer. The first start
	// compiles the plugins; later ones find them in the cache.
	startLimit = time.Minute
	// stopLimit is how long the gateway may take to end, above its drain.timeout.
	stopLimit = 40 * time.Second
)

func main() {
	// As postern.toml says.
	q := quickstart{backend: "127.0.0.1:9080", port: "8080", stdout: os.Stdout, stderr: os.Stderr}
	flag.StringVar(&q.gateway, "gateway", "bin/postern", "the gateway's `program`")
	flag.StringVar(&q.folder, "folder", "examples/quickstart", "`folder` with postern.toml and the plugins")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := q.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "quickstart: %v\n", err)
		os.Exit(1)
	}
}

// quickstart is what runs: a gateway and the backend behind it.
type quickstart struct {
	gateway        string // program
	folder         string // with postern.toml and the plugins
	backend        string // address that the stages name
	port           string // of the public listener
	stdout, stderr io.Writer
}

// run runs backend and gateway until ctx ends or one of them does.
func (q *quickstart) run(ctx context.Context) error {
	if err := q.built(); err != nil {
		return err
	}
	socket, err := net.Listen("tcp", q.backend)
	if err != nil {
		return fmt.Errorf("the demo backend needs %s: %w", q.backend, err)
	}
	server := &http.Server{Handler: backend.New(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	defer func() {
		_ = server.Close() // the gateway in front of it has ended already
		<-served
	}()

	child := exec.Command(q.gateway, "run", "-c", filepath.Join(q.folder, "postern.toml"))
	child.Stdout, child.Stderr = q.stdout, q.stderr
	// A group of its own: Ctrl-C at the terminal comes to this program alone,
	// which then stops the gateway in order.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := child.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()

	if err := q.ready(ctx, ended); err != nil {
		return errors.Join(err, end(child, ended))
	}
	fmt.Fprint(q.stdout, guide(q.port))
	select {
	case err := <-ended:
		return errors.Join(errors.New("the gateway ended"), err)
	case <-ctx.Done():
		return end(child, ended)
	}
}

// built says what is missing before anything is started.
func (q *quickstart) built() error {
	needed := []string{q.gateway}
	for _, name := range []string{"postern.toml", "greeter.wasm", "guard.wasm"} {
		needed = append(needed, filepath.Join(q.folder, name))
	}
	for _, name := range needed {
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("%w; `make build examples` makes it", err)
		}
	}
	return nil
}

// ready waits until the gateway answers.
func (q *quickstart) ready(ctx context.Context, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	url := "http://localhost:" + q.port
	for {
		if resp, err := client.Get(url + "/version"); err == nil {
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
			return fmt.Errorf("the gateway doesn't answer at %s: %w", url, ctx.Err())
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
