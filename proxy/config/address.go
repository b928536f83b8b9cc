package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Activated begins the address of a listener whose socket comes from systemd.
// What follows is the socket's name.
const Activated = "systemd:"

// listening is an address that the gateway opens.
type listening struct {
	host string
	port int
	path []string
}

// listeners checks the addresses of all listeners.
func (x *crosser) listeners() {
	var open []listening
	for _, name := range x.entries("listen") {
		x.prefixes(name)
		x.clearHTTP2(name)
		path := []string{"listen", name, "address"}
		address := x.cfg.Listen[name].Address
		if address == "" {
			continue
		}
		if socket, activated := strings.CutPrefix(address, Activated); activated {
			if socket == "" || strings.Contains(socket, ":") {
				x.value(path, "", "want the name of a socket", `write "systemd:NAME", NAME being the FileDescriptorName of a .socket unit`)
			}
			open = x.opens(open, listening{host: address, port: -1, path: path})
			continue
		}
		l, bad := parseAddress(address, true)
		if bad != nil {
			x.value(path, bad.part, bad.text, bad.hint)
			continue
		}
		l.path = path
		open = x.opens(open, l)
	}
	x.admin(open)
	suffix := x.cfg.Gateway.Suffix
	if bad := badHost(suffix); bad != nil {
		x.value([]string{"gateway", "suffix"}, bad.part, bad.text, bad.hint)
	}
}

// opens adds l to open, or reports that an earlier listener has the address.
func (x *crosser) opens(open []listening, l listening) []listening {
	for _, o := range open {
		if l.port == 0 || o.port != l.port || !overlap(o.host, l.host) {
			continue
		}
		text := "the same address as " + keyPath(o.path, x.root)
		if o.host != l.host {
			text = "the address overlaps with " + keyPath(o.path, x.root)
		}
		hint := "choose another port"
		if l.port < 0 {
			hint = "every listener needs a socket of its own"
		}
		x.value(l.path, "", text+" at "+x.nearest(o.path).String(), hint)
		return open
	}
	return append(open, l)
}

// overlap reports whether two hosts can't have the same port: they are equal or
// one means all addresses.
func overlap(a, b string) bool {
	all := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return a == b || all(a) || all(b)
}

// admin checks the operator's address.
func (x *crosser) admin(open []listening) {
	path := []string{"admin", "address"}
	address := x.cfg.Admin.Address
	if address == "" || address == "off" {
		return
	}
	if socket, unix := strings.CutPrefix(address, "unix:"); unix {
		if socket == "" {
			x.value(path, "", "the path of the socket is missing", `write "unix:/run/postern/admin.sock"`)
			return
		}
		full := x.resolve(socket, x.nearest(path))
		if len(full) > maxSocketPath {
			x.value(path, "", fmt.Sprintf("the path of the socket is longer than %d bytes, as many as the system allows", maxSocketPath), "")
		}
		x.cfg.Admin.Address = "unix:" + full
		return
	}
	l, bad := parseAddress(address, true)
	if bad != nil {
		x.value(path, bad.part, bad.text, `write "unix:PATH", "127.0.0.1:8081" or "off"`)
		return
	}
	ip, err := netip.ParseAddr(l.host)
	if l.host != "localhost" && (err != nil || !ip.IsLoopback()) {
		var missing []string
		if x.cfg.Admin.TLS == nil {
			missing = append(missing, `tls = { cert = "…", key = "…" }`)
		}
		if len(x.cfg.Admin.Token) == 0 {
			missing = append(missing, `a token: [admin.token.NAME] with sha256 and scopes`)
		}
		if len(missing) > 0 {
			x.value(path, "", "not a loopback address: whoever reaches the admin listener controls the gateway",
				fmt.Sprintf(`write "127.0.0.1:%d", or "unix:PATH"; or add %s`, l.port, strings.Join(missing, ", and ")))
			return
		}
	}
	l.path = path
	x.opens(open, l)
}

// maxSocketPath is what fits into Linux's sun_path before its zero byte.
const maxSocketPath = 107

// parseAddress takes "host:port" apart. Only a listener may leave the host out
// and have port 0.
func parseAddress(s string, listens bool) (listening, *mistake) {
	example := "10.0.0.1:8080"
	if listens {
		example = ":8080"
	}
	if strings.Contains(s, "://") {
		_, rest, _ := strings.Cut(s, "://")
		return listening{}, &mistake{"", "an address has no scheme", fmt.Sprintf("write %q", strings.TrimRight(rest, "/"))}
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		hint := fmt.Sprintf(`write "host:port", such as %q`, example)
		if _, err := strconv.ParseUint(s, 10, 16); err == nil && listens {
			hint = fmt.Sprintf("write %q", ":"+s)
		} else if ip, err := netip.ParseAddr(s); err == nil {
			hint = fmt.Sprintf("write %q", net.JoinHostPort(ip.String(), "8080"))
		}
		return listening{}, &mistake{"", "want \"host:port\", got " + strconv.Quote(s), hint}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 && !listens {
		return listening{}, &mistake{":" + port, fmt.Sprintf("%q isn't a port", port), "ports are numbers up to 65535"}
	}
	if host == "" && !listens {
		return listening{}, &mistake{"", "the host is missing", fmt.Sprintf("write %q", "127.0.0.1"+s)}
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		if bad := badHost(strings.ToLower(host)); bad != nil {
			return listening{}, &mistake{host, bad.text, bad.hint}
		}
	}
	return listening{host: host, port: int(n)}, nil
}

// badHost says what is wrong with a host name in lower case. RFC 1123, 2.1; "_"
// is allowed besides, for container networks use it.
func badHost(s string) *mistake {
	if s == "" || len(s) > 253 {
		return &mistake{"", "a host name has 1 to 253 characters", ""}
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return &mistake{"", "the host name has an empty label", fmt.Sprintf("write %q", strings.Join(slices.DeleteFunc(strings.Split(s, "."), func(l string) bool { return l == "" }), "."))}
		case len(label) > 63:
			return &mistake{label, "a label of a host name has at most 63 characters", ""}
		case label[0] == '-' || label[len(label)-1] == '-':
			return &mistake{label, `a label of a host name can't begin or end with "-"`, ""}
		}
		for _, r := range label {
			switch {
			case r >= 'A' && r <= 'Z':
				return &mistake{label, "host names are written in lower case here", fmt.Sprintf("write %q", strings.ToLower(s))}
			case r >= 0x80:
				return &mistake{label, fmt.Sprintf("%q can't be in a host name", r), `write the name as DNS has it, beginning with "xn--"`}
			case !isBare(byte(r)):
				return &mistake{label, fmt.Sprintf("%q can't be in a host name", r), "labels are made of letters, digits and -"}
			}
		}
	}
	return nil
}

// outputs checks that the folders of log files are there.
func (x *crosser) outputs() {
	x.output(x.cfg.Log.Output, "log", "output")
	x.output(x.cfg.Log.Access, "log", "access")
	for api := range x.cfg.API {
		for stage, s := range x.cfg.API[api].Stage {
			if s.Log != nil && s.Log.Access != nil {
				x.output(s.Log.Access.Output, "api", api, "stage", stage, "log", "access", "output")
			}
			if s.Log != nil && s.Log.Execution != nil {
				x.output(s.Log.Execution.Output, "api", api, "stage", stage, "log", "execution", "output")
			}
		}
	}
}

func (x *crosser) output(file string, at ...string) {
	if file == "stdout" || file == "stderr" || file == "off" || file == "" || strings.HasPrefix(file, "syslog+") {
		return
	}
	folder := filepath.Dir(file)
	if st, err := os.Stat(folder); err != nil || !st.IsDir() {
		x.value(at, "", "the folder "+folder+" isn't there", lookedAt(folder))
	}
}
