// Package zonetest is a DNS server for tests: it answers for all names, and takes
// signed updates of the zones that it has.
package zonetest

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a running DNS server on loopback, over UDP and TCP. Names have the address
// 127.0.0.1 unless Point says otherwise.
type Server struct {
	Addr string // "host:port"

	zones []string
	key   string // the name of the only key that updates may be signed with

	mu        sync.Mutex // guards what follows
	texts     map[string][]string
	aliases   map[string]string
	addresses map[string][]netip.Addr
	updates   int
	lag       int // questions for texts that are answered as if there were none
	asked     map[string]int
}

// Options say what it has.
type Options struct {
	Zones []string // that it answers for, with a dot at the end
	// The key of updates. Without a name they are taken unsigned.
	KeyName, Key string
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{zones: o.Zones, texts: map[string][]string{}, aliases: map[string]string{}, addresses: map[string][]netip.Addr{}, asked: map[string]int{}}
	var secrets map[string]string
	if o.KeyName != "" {
		s.key = dns.CanonicalName(o.KeyName)
		secrets = map[string]string{s.key: o.Key}
	}
	listener, packets := open(t)
	s.Addr = listener.Addr().String()
	var work sync.WaitGroup
	t.Cleanup(work.Wait) // the last one
	for _, server := range []*dns.Server{{Listener: listener}, {PacketConn: packets}} {
		server.Handler, server.TsigSecret = dns.HandlerFunc(s.serve), secrets
		server.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates, too
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		work.Go(func() {
			if err := server.ActivateAndServe(); err != nil {
				t.Errorf("DNS server: %v", err)
			}
		})
		<-started
		t.Cleanup(func() { _ = server.Shutdown() }) // it runs
	}
	return s
}

// open returns two sockets with one port.
func open(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, p
		}
		l.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// Texts returns the TXT records at name.
func (s *Server) Texts(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts[dns.CanonicalName(name)])
}

// Updates returns how many updates were done.
func (s *Server) Updates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updates
}

// Asked returns how often anybody asked for the addresses of name.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[dns.CanonicalName(name)]
}

// Alias makes name an alias of target.
func (s *Server) Alias(name, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[dns.CanonicalName(name)] = dns.CanonicalName(target)
}

// Point gives name other addresses.
func (s *Server) Point(name string, addresses ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses[dns.CanonicalName(name)] = addresses
}

// Delay has the next n questions for TXT records find none.
func (s *Server) Delay(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = n
}

func (s *Server) serve(w dns.ResponseWriter, m *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := new(dns.Msg)
	answer.SetReply(m)
	answer.Authoritative, answer.RecursionAvailable = true, true
	if m.Opcode == dns.OpcodeUpdate {
		answer.Rcode = s.update(w, m)
		if t := m.IsTsig(); t != nil && w.TsigStatus() == nil {
			answer.SetTsig(t.Hdr.Name, t.Algorithm, 300, int64(t.TimeSigned))
		}
	} else if len(m.Question) == 1 {
		s.look(answer, m.Question[0])
	}
	_ = w.WriteMsg(answer) // who asked may be gone
}

// look answers a question.
func (s *Server) look(answer *dns.Msg, q dns.Question) {
	name := dns.CanonicalName(q.Name)
	if q.Qtype == dns.TypeA {
		s.asked[name]++
	}
	head := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 1}
	}
	for hops := 0; s.aliases[name] != "" && hops < 20; hops++ {
		target := s.aliases[name]
		answer.Answer = append(answer.Answer, &dns.CNAME{Hdr: head(dns.TypeCNAME), Target: target})
		if q.Qtype == dns.TypeCNAME {
			return
		}
		name = target
	}
	switch q.Qtype {
	case dns.TypeTXT:
		if s.lag > 0 {
			s.lag--
			break
		}
		for _, text := range s.texts[name] {
			answer.Answer = append(answer.Answer, &dns.TXT{Hdr: head(dns.TypeTXT), Txt: []string{text}})
		}
	case dns.TypeA, dns.TypeAAAA:
		addresses, has := s.addresses[name]
		if !has {
			addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		}
		for _, a := range addresses {
			switch {
			case a.Is4() && q.Qtype == dns.TypeA:
				answer.Answer = append(answer.Answer, &dns.A{Hdr: head(dns.TypeA), A: a.AsSlice()})
			case a.Is6() && q.Qtype == dns.TypeAAAA:
				answer.Answer = append(answer.Answer, &dns.AAAA{Hdr: head(dns.TypeAAAA), AAAA: a.AsSlice()})
			}
		}
	}
	if len(answer.Answer) > 0 {
		return
	}
	if zone := s.zoneOf(name); zone != "" {
		soa := &dns.SOA{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns." + zone, Mbox: "mail." + zone, Serial: 1}
		if q.Qtype == dns.TypeSOA && zone == name {
			answer.Answer = append(answer.Answer, soa)
			return
		}
		answer.Ns = append(answer.Ns, soa)
	}
}

// zoneOf returns the longest zone that name is in.
func (s *Server) zoneOf(name string) string {
	best := ""
	for _, z := range s.zones {
		if dns.IsSubDomain(z, name) && len(z) > len(best) {
			best = z
		}
	}
	return best
}

// update changes a zone. RFC 2136, 3: only what tests need of it.
func (s *Server) update(w dns.ResponseWriter, m *dns.Msg) int {
	if s.key != "" {
		if t := m.IsTsig(); t == nil || w.TsigStatus() != nil || dns.CanonicalName(t.Hdr.Name) != s.key {
			return dns.RcodeNotAuth
		}
	}
	if len(m.Question) != 1 || !slices.Contains(s.zones, dns.CanonicalName(m.Question[0].Name)) {
		return dns.RcodeNotZone
	}
	for _, rr := range m.Ns {
		t, is := rr.(*dns.TXT)
		if !is || !dns.IsSubDomain(m.Question[0].Name, t.Hdr.Name) {
			return dns.RcodeNotZone
		}
		name, text := dns.CanonicalName(t.Hdr.Name), strings.Join(t.Txt, "")
		switch t.Hdr.Class {
		case dns.ClassINET:
			s.texts[name] = append(s.texts[name], text)
		case dns.ClassNONE:
			s.texts[name] = slices.DeleteFunc(s.texts[name], func(have string) bool { return have == text })
		default:
			return dns.RcodeRefused
		}
	}
	s.updates++
	return dns.RcodeSuccess
}
