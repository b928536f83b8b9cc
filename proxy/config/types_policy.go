package config

// Policy is a document in AWS's policy language, or where it is. A string is the
// document.
type Policy struct {
	// The document itself, as JSON.
	Text string `toml:"text" example:"{}" aka:"inline,content,json"`
	// A file that holds it.
	File string `toml:"file" file:"true" example:"policy.json" aka:"path"`
	// Characters that it may have. AWS allows 8192.
	Limit int `toml:"limit" default:"8192" min:"1" max:"1000000"`
}

// Read returns the document, out of its file if it has one. The error is a
// *KeyError whose path is relative to p's own key.
func (p Policy) Read() (string, error) {
	return Document{Text: p.Text, File: p.File}.Read()
}

// Network is a range of client addresses with a name, which policies know as a VPC
// or its endpoint: aws:SourceVpc, aws:SourceVpce.
type Network struct {
	// Addresses and prefixes that belong to it.
	Prefixes []string `toml:"prefixes" required:"true" example:"[\"10.1.0.0/16\"]" aka:"prefix,cidr,cidrs,addresses,ranges"`
	// A further name for it: "vpc-0a1b2c3d", so that policies of AWS can stay as they
	// are.
	ID string `toml:"id" pattern:"[!-~]{1,255}" want:"1 to 255 printable characters" example:"vpc-0a1b2c3d" aka:"vpc,vpce,vpc_id,vpc_endpoint_id"`
}

// networks checks the addresses of networks.
func (x *crosser) networks() {
	for _, name := range x.entries("network") {
		x.prefixList([]string{"network", name, "prefixes"}, x.cfg.Network[name].Prefixes)
	}
}
