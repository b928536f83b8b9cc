package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is everything that a run found out.
type report struct {
	Date      time.Time         `json:"date"`
	Kernel    string            `json:"kernel"`
	CPU       string            `json:"cpu"`
	Cores     int               `json:"cores"`
	Load      string            `json:"load_before"`
	Go        string            `json:"go"`
	Commit    string            `json:"commit,omitempty"`
	Versions  map[string]string `json:"versions"`
	Options   options           `json:"options"`
	Scenarios []*scenarioReport `json:"scenarios"`
	Idle      []*idleReport     `json:"idle,omitempty"`
}

type scenarioReport struct {
	Name    string         `json:"name"`
	Title   string         `json:"title"`
	Tool    string         `json:"tool"`
	Proxies []*proxyReport `json:"proxies"`
}

// proxyReport is one proxy in one scenario: medians over the rounds that count,
// with the ends.
type proxyReport struct {
	Name         string   `json:"name"`
	Failed       string   `json:"failed,omitempty"`
	Lost         int      `json:"rounds_lost"`
	CPU          spread   `json:"cpu_us_per_request"`
	Ratio        spread   `json:"cpu_ratio_to_nginx"`
	KernelShare  spread   `json:"kernel_share"`
	Rate         spread   `json:"requests_per_second"`
	P50          spread   `json:"p50_ms"`
	P99          spread   `json:"p99_ms"`
	P99Ratio     spread   `json:"p99_ratio_to_nginx"`
	Peak         spread   `json:"peak_rss_mib"`
	Instructions spread   `json:"instructions_per_request,omitzero"`
	InstrRatio   spread   `json:"instructions_ratio_to_nginx,omitzero"`
	Opened       int64    `json:"backend_connections_opened"`
	Requests     int64    `json:"requests"`
	LogLines     int64    `json:"access_log_lines"`
	Samples      []sample `json:"samples"`
}

type idleReport struct {
	Name        string  `json:"name"`
	Failed      string  `json:"failed,omitempty"`
	Connections int     `json:"connections"`
	BaseMiB     float64 `json:"base_rss_mib"`
	AllMiB      float64 `json:"rss_mib"`
	KiBEach     float64 `json:"kib_per_connection"`
}

func newReport(ctx context.Context, b *bench) *report {
	r := &report{
		Date: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Go: runtime.Version(),
		Kernel: firstLine("/proc/sys/kernel/osrelease"), CPU: processor(), Load: firstLine("/proc/loadavg"),
		Versions: versions(ctx, b.program, b.Proxies), Options: b.options,
	}
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	return r
}

func firstLine(file string) string {
	text, _ := os.ReadFile(file) // "" tells enough
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// processor returns the model of the first processor.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// row returns the line of a proxy, or nil.
func (s *scenarioReport) row(name string) *proxyReport {
	for _, p := range s.Proxies {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// sum makes medians and ratios from the samples. A run with errors isn't part
// of them; it is counted as lost.
func (s *scenarioReport) sum() {
	reference := s.row(nginx)
	for _, p := range s.Proxies {
		p.Lost = 0
		p.Opened = 0
		for _, x := range p.Samples {
			if x.Failed != "" {
				p.Lost++
			}
			p.Opened += x.Opened
		}
		of := func(f func(*sample) float64) spread { return spreadOf(values(p.byRound(f))) }
		against := func(f func(*sample) float64) spread {
			if reference == nil {
				return spread{}
			}
			return spreadOf(ratios(p.byRound(f), reference.byRound(f)))
		}
		cpu := func(x *sample) float64 { return x.CPU }
		p99 := func(x *sample) float64 { return x.P99 }
		instructions := func(x *sample) float64 { return x.Instructions }
		p.CPU, p.Ratio = of(cpu), against(cpu)
		p.P99, p.P99Ratio = of(p99), against(p99)
		p.KernelShare = of(func(x *sample) float64 { return x.KernelShare })
		p.Rate = of(func(x *sample) float64 { return x.Rate })
		p.P50 = of(func(x *sample) float64 { return x.P50 })
		p.Peak = of(func(x *sample) float64 { return x.Peak })
		if of(instructions).Max > 0 {
			p.Instructions, p.InstrRatio = of(instructions), against(instructions)
		}
	}
}

// byRound returns a figure of the rounds that count.
func (p *proxyReport) byRound(f func(*sample) float64) map[int]float64 {
	all := map[int]float64{}
	for i := range p.Samples {
		if x := &p.Samples[i]; x.Failed == "" {
			all[x.Round] = f(x)
		}
	}
	return all
}

func values(m map[int]float64) []float64 {
	all := make([]float64, 0, len(m))
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// print writes the report as a table.
func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "%s, %d x %s, Linux %s, %s", r.Date.Format(time.DateOnly), r.Cores, r.CPU, r.Kernel, r.Go)
	if r.Commit != "" {
		fmt.Fprintf(out, ", postern %s", r.Commit)
	}
	fmt.Fprintf(out, "\n%d rounds of %v, %d workers, %d connections, nginx %s; load before: %s\n",
		r.Options.Rounds, r.Options.Duration, r.Options.Workers, r.Options.Connections, r.Options.Nginx, r.Load)
	for _, name := range append([]string{"wrk", "h2load"}, r.Options.Proxies...) {
		fmt.Fprintf(out, "  %s: %s\n", name, r.Versions[name])
	}
	fmt.Fprintln(out, "CPU is user and system time of the proxy's processes per request; the ratio is to nginx of the same round: median (min-max).")
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	head := "\nscenario\tproxy\tCPU us\tratio\tkernel\treq/s\tp50 ms\tp99 ms\tp99 ratio\tpeak MiB"
	if r.Options.Perf {
		head += "\tinstr.\tratio"
	}
	fmt.Fprintln(t, head+"\tnotes")
	for _, s := range r.Scenarios {
		for _, p := range s.Proxies {
			p.print(t, s.Name, r.Options.Perf)
		}
	}
	_ = t.Flush() // the terminal's problem
	if len(r.Idle) == 0 {
		return
	}
	fmt.Fprintln(t, "\nidle connections\tproxy\tRSS before MiB\twith them MiB\tKiB each\tnotes")
	for _, i := range r.Idle {
		fmt.Fprintf(t, "%d\t%s\t%.1f\t%.1f\t%.2f\t%s\n", i.Connections, i.Name, i.BaseMiB, i.AllMiB, i.KiBEach, brief(i.Failed))
	}
	_ = t.Flush() // the terminal's problem
}

func (p *proxyReport) print(t io.Writer, scenario string, perf bool) {
	notes := p.notes()
	if p.CPU.N == 0 {
		none := strings.Repeat("\t-", 8)
		if perf {
			none += "\t-\t-"
		}
		fmt.Fprintf(t, "%s\t%s%s\t%s\n", scenario, p.Name, none, notes)
		return
	}
	fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\t%.0f%%\t%.0f\t%.2f\t%.2f\t%s\t%.1f", scenario, p.Name, p.CPU.Median, p.Ratio.text(),
		100*p.KernelShare.Median, p.Rate.Median, p.P50.Median, p.P99.Median, p.P99Ratio.text(), p.Peak.Median)
	switch {
	case perf && p.Instructions.N > 0:
		fmt.Fprintf(t, "\t%.0f\t%s", p.Instructions.Median, p.InstrRatio.text())
	case perf:
		fmt.Fprint(t, "\t-\t-")
	}
	fmt.Fprintf(t, "\t%s\n", notes)
}

// text is the median with the ends.
func (s spread) text() string {
	if s.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Min, s.Max)
}

// brief cuts a text to what a table takes; all of it is on standard error and in
// the JSON.
func brief(text string) string {
	const most = 100
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "") // the end tells most
	}
	return text
}

// notes tells what the figures alone don't.
func (p *proxyReport) notes() string {
	var all []string
	if p.Failed != "" {
		all = append(all, "left out: "+brief(p.Failed))
	}
	if p.Lost > 0 {
		var why string
		for _, x := range p.Samples {
			if x.Failed != "" {
				why = x.Failed
			}
		}
		all = append(all, fmt.Sprintf("%d rounds with errors: %s", p.Lost, brief(why)))
	}
	if p.Failed == "" && p.LogLines < p.Requests {
		all = append(all, fmt.Sprintf("%d access log lines for %d requests", p.LogLines, p.Requests))
	}
	if p.Opened*100 > p.Requests && p.Requests > 0 {
		all = append(all, fmt.Sprintf("%d backend connections for %d requests", p.Opened, p.Requests))
	}
	return strings.Join(all, "; ")
}

// write writes the report as JSON.
func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
