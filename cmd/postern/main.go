// Command postern is the gateway: `postern run` serves a configuration,
// `postern validate` checks one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK        = 0
	exitFailed    = 1 // failed while running, or stopped before requests were done
	exitUsage     = 2
	exitInvalid   = 3 // the configuration is invalid
	exitDifferent = 4 // differences were found
	exitTests     = 5 // tests of a plugin or a template failed
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run executes the command that args name and returns its exit code. The end of
// ctx stops a running gateway as SIGTERM does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(&streams{stdout, stderr})
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for the process's own
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var failure *failure
	if !errors.As(err, &failure) { // cobra's own: flags, arguments, unknown commands
		fmt.Fprintf(stderr, "postern: %v\nRun \"postern --help\" for the commands and their options.\n", err)
		return exitUsage
	}
	if failure.err != nil {
		fmt.Fprintf(stderr, "postern: %v\n", failure.err)
	}
	return failure.code
}

// failure is an error that knows its exit code. err is nil when everything is
// said already.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

// streams are where commands write.
type streams struct{ out, err io.Writer }

func newRoot(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "postern",
		Short: "API gateway with AWS API Gateway's model and WebAssembly plugins",
		Long: "postern is an API gateway with the model of AWS API Gateway. WebAssembly plugins\n" +
			"stand where AWS has Lambda.",
		Example: "  postern run                          # serve ./postern.toml\n" +
			"  postern validate -c gateway.toml     # check a configuration\n" +
			"  kill -HUP $(pidof postern)           # reload it",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(newRun(s), newValidate(s), newPlugin(s), newTemplate(s), newPolicy(s), newKey(s), newUsage(s), newCache(s), newShadow(s), newDeploy(s), newDeploymentList(s), newDiff(s), newRollback(s), newPromote(s), newCanary(s), newCert(s), newInvoke(s), newTrace(s), newSchema(s), newVersion(s))
	return root
}
