package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/config"
)

// anchors are where a system keeps roots that its owner trusts: a folder to put files
// into and the command that makes them count, or, on macOS, a command alone.
type anchors struct {
	folder  string   // "" without one
	update  []string // after a change of the folder
	add     []string // without a folder; the file's name is its last argument
	remove  []string
	systems string // which have it so
}

// anchorsOf are the ways of systems that we know. Ubuntu's manual update-ca-certificates(8),
// Red Hat's update-ca-trust(8), p11-kit's trust(1), Apple's security(1).
func anchorsOf() []anchors {
	return []anchors{
		{folder: "/usr/local/share/ca-certificates", update: []string{"update-ca-certificates"}, systems: "Debian, Ubuntu, Alpine"},
		{folder: "/etc/pki/ca-trust/source/anchors", update: []string{"update-ca-trust", "extract"}, systems: "Fedora, Red Hat"},
		{folder: "/etc/ca-certificates/trust-source/anchors", update: []string{"update-ca-trust"}, systems: "Arch"},
		{folder: "/etc/pki/trust/anchors", update: []string{"update-ca-certificates"}, systems: "SUSE"},
		{
			add:     []string{"security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", "/Library/Keychains/System.keychain"},
			remove:  []string{"security", "remove-trusted-cert", "-d"},
			systems: "macOS",
		},
	}
}

// machine is the system whose trust is changed.
type machine struct {
	root string // below which its folders are; "" for the real ones
	run  func(command ...string) error
	look func(command string) bool // whether it has a command
}

func thisMachine(ctx context.Context, s *streams) *machine {
	return &machine{
		run: func(command ...string) error {
			c := exec.CommandContext(ctx, command[0], command[1:]...)
			said := new(bytes.Buffer)
			c.Stdout, c.Stderr = said, said
			if err := c.Run(); err != nil {
				return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, bytes.TrimSpace(said.Bytes()))
			}
			return nil
		},
		look: func(command string) bool { _, err := exec.LookPath(command); return err == nil },
	}
}

// way returns how the machine's trust is changed.
func (m *machine) way() (anchors, error) {
	var known []string
	for _, a := range anchorsOf() {
		known = append(known, a.systems)
		if a.folder == "" {
			if m.look(a.add[0]) {
				return a, nil
			}
			continue
		}
		if _, err := os.Stat(m.root + a.folder); err == nil && m.look(a.update[0]) {
			return a, nil
		}
	}
	return anchors{}, fmt.Errorf("the way of this system isn't known (known: %s); give the file to your system, browser or client yourself", strings.Join(known, "; "))
}

// install has the machine trust root, which is in file, and returns where it went.
func (m *machine) install(a *anchors, root *rootFile) error {
	if a.folder == "" {
		return m.run(append(a.add, root.path)...)
	}
	if err := os.WriteFile(m.root+a.place(root), root.text, 0o644); err != nil {
		return err
	}
	return m.run(a.update...)
}

// uninstall ends that.
func (m *machine) uninstall(a *anchors, root *rootFile) error {
	if a.folder == "" {
		return m.run(append(a.remove, root.path)...)
	}
	if err := os.Remove(m.root + a.place(root)); err != nil {
		return err
	}
	return m.run(a.update...)
}

// place is the file for root in the folder; each root has its own.
func (a *anchors) place(root *rootFile) string {
	return filepath.Join(a.folder, "postern-internal-"+root.fingerprint[:16]+".crt")
}

// byHand are the commands that do the same with the rights of root.
func (a *anchors) byHand(root *rootFile, uninstall bool) string {
	switch {
	case a.folder == "" && uninstall:
		return "sudo " + strings.Join(append(a.remove, root.path), " ")
	case a.folder == "":
		return "sudo " + strings.Join(append(a.add, root.path), " ")
	case uninstall:
		return "sudo rm " + a.place(root) + " && sudo " + strings.Join(a.update, " ")
	}
	return "sudo install -m 644 " + root.path + " " + a.place(root) + " && sudo " + strings.Join(a.update, " ")
}

func newCertTrust(s *streams) *cobra.Command {
	var file, from string
	var show, uninstall bool
	c := &cobra.Command{
		Use:   "trust",
		Short: "Trust the internal authority, on this machine",
		Long: "Have this machine trust the root of certificate = \"internal\", for development: whoever\n" +
			"runs the gateway can then pass for the domains that the root may certify, which are\n" +
			"reserved names such as localhost and test, and those of the configuration. It takes\n" +
			"the rights of root; without them the commands are printed. Browsers that have roots\n" +
			"of their own (Firefox), Java and containers are told by themselves, with --print.",
		Example: "  sudo postern cert trust -c postern.toml\n" +
			"  sudo postern cert trust -c postern.toml --uninstall\n" +
			"  postern cert trust --print > root.pem && curl --cacert root.pem https://shop.localhost:8443/\n" +
			"  sudo postern cert trust --from root.pem     # on another machine",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			root, err := rootOf(c.Context(), s, file, from)
			if err != nil {
				return err
			}
			if show {
				_, err := s.out.Write(root.text)
				return wrote(err)
			}
			return trust(thisMachine(c.Context(), s), s, root, uninstall)
		},
	}
	addFile(c, &file)
	c.Flags().StringVar(&from, "from", "", "`file` with the root, instead of that of the configuration's gateway")
	c.Flags().BoolVar(&show, "print", false, "print the root as PEM, and change nothing")
	c.Flags().BoolVar(&uninstall, "uninstall", false, "trust it no more")
	c.MarkFlagsMutuallyExclusive("print", "uninstall")
	return c
}

// rootOf returns the root in the file from, else that of the gateway of the
// configuration.
func rootOf(ctx context.Context, s *streams, file, from string) (root *rootFile, err error) {
	if from != "" {
		text, err := os.ReadFile(from)
		if err == nil {
			from, err = filepath.Abs(from)
		}
		if err == nil {
			root, err = describeRoot(from, text)
		}
		if err != nil {
			return nil, &failure{exitFailed, err}
		}
		return root, nil
	}
	cfg, err := loadFor(s, file)
	if err != nil {
		return nil, err
	}
	return root, atStore(ctx, s, cfg, func(k *certificate.Keeper) error {
		root, err = publishedRoot(ctx, k, cfg)
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New(`there is no internal authority yet: the first start with certificate = "internal" at a domain makes it`)
		}
		if err != nil {
			return &failure{exitFailed, err}
		}
		return nil
	})
}

// publishedRoot is writeRoot for who may not be allowed to write.
func publishedRoot(ctx context.Context, k *certificate.Keeper, cfg *config.Config) (*rootFile, error) {
	text, err := k.Root(ctx)
	if err != nil {
		return nil, err
	}
	path, err := rootPath(cfg)
	if err != nil {
		return nil, err
	}
	return describeRoot(path, text)
}

// trust has m trust root, or trust it no more.
func trust(m *machine, s *streams, root *rootFile, uninstall bool) error {
	way, err := m.way()
	if err != nil {
		return &failure{exitFailed, fmt.Errorf("%w: %s", err, root.path)}
	}
	act, done := m.install, "is trusted by this machine"
	if uninstall {
		act, done = m.uninstall, "isn't trusted by this machine any more"
	}
	err = act(&way, root)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &failure{exitFailed, fmt.Errorf("%w; with the rights of root:\n  %s", err, way.byHand(root, uninstall))}
	case uninstall && errors.Is(err, fs.ErrNotExist):
		done = "wasn't trusted by this machine"
	case err != nil:
		return &failure{exitFailed, fmt.Errorf("%w; by hand:\n  %s", err, way.byHand(root, uninstall))}
	}
	_, err = fmt.Fprintf(s.out, "the internal authority %s (SHA-256 %s)\n", done, root.fingerprint)
	return wrote(err)
}
