package plugins

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Error numbers of WASI preview 1.
const (
	wasiSuccess = 0
	wasiBadf    = 8
	wasiInval   = 28
	wasiNosys   = 52
	wasiNotsup  = 58
	wasiSpipe   = 70
)

// wasiFunctions are what guests' runtimes need to start and to print: no files,
// no sockets. What opens or changes a file is there, because runtimes link it,
// and answers that there is none. Source: WASI snapshot preview 1, witx.
func wasiFunctions() []hostFunc {
	return append([]hostFunc{
		{"args_get", "ii", "i", 0, func(in *instance, s []uint64) { in.writeStrings(s, []string{in.plugin.name}) }},
		{"args_sizes_get", "ii", "i", 0, func(in *instance, s []uint64) { in.writeSizes(s, []string{in.plugin.name}) }},
		{"environ_get", "ii", "i", 0, func(in *instance, s []uint64) { in.writeStrings(s, in.plugin.environ) }},
		{"environ_sizes_get", "ii", "i", 0, func(in *instance, s []uint64) { in.writeSizes(s, in.plugin.environ) }},
		{"clock_res_get", "ii", "i", 0, (*instance).clockResolution},
		{"clock_time_get", "iIi", "i", 0, (*instance).clockTime},
		{"random_get", "ii", "i", 0, (*instance).wasiRandom},
		{"sched_yield", "", "i", 0, func(_ *instance, s []uint64) { s[0] = wasiSuccess }},
		{"proc_exit", "i", "", 0, func(in *instance, s []uint64) {
			in.exited, in.exitCode = true, uint32(s[0])
			panic(errExit)
		}},
		{"poll_oneoff", "iiii", "i", 0, (*instance).poll},
		{"fd_read", "iiii", "i", 0, (*instance).readStdin},
		{"fd_write", "iiii", "i", 0, (*instance).writeStdout},
		{"fd_fdstat_get", "ii", "i", 0, (*instance).fdStat},
		{"fd_fdstat_set_flags", "ii", "i", 0, standardStream(wasiSuccess)},
		{"fd_close", "i", "i", 0, standardStream(wasiSuccess)},
		{"fd_seek", "iIii", "i", 0, standardStream(wasiSpipe)},
		{"fd_tell", "ii", "i", 0, standardStream(wasiSpipe)},
		{"fd_filestat_get", "ii", "i", 0, (*instance).fileStat},
		{"proc_raise", "i", "i", 0, func(_ *instance, s []uint64) { s[0] = wasiNosys }},
	}, wasiFiles()...)
}

// wasiFiles are the functions about files. There are none: no descriptor but
// the three standard streams exists, no folder is preopened.
func wasiFiles() []hostFunc {
	var all []hostFunc
	for _, f := range [][2]string{
		{"fd_advise", "iIIi"}, {"fd_allocate", "iII"}, {"fd_datasync", "i"}, {"fd_fdstat_set_rights", "iII"},
		{"fd_filestat_set_size", "iI"}, {"fd_filestat_set_times", "iIIi"}, {"fd_pread", "iiiIi"},
		{"fd_prestat_get", "ii"}, {"fd_prestat_dir_name", "iii"}, {"fd_pwrite", "iiiIi"}, {"fd_readdir", "iiiIi"},
		{"fd_renumber", "ii"}, {"fd_sync", "i"}, {"path_create_directory", "iii"}, {"path_filestat_get", "iiiii"},
		{"path_filestat_set_times", "iiiiIIi"}, {"path_link", "iiiiiii"}, {"path_open", "iiiiiIIii"},
		{"path_readlink", "iiiiii"}, {"path_remove_directory", "iii"}, {"path_rename", "iiiiii"},
		{"path_symlink", "iiiii"}, {"path_unlink_file", "iii"},
	} {
		all = append(all, hostFunc{name: f[0], params: f[1], results: "i", call: func(_ *instance, s []uint64) { s[0] = wasiBadf }})
	}
	return all
}

// standardStream answers code for the three descriptors that exist.
func standardStream(code uint64) hostCall {
	return func(_ *instance, s []uint64) {
		if s[0] > 2 {
			code := uint64(wasiBadf)
			s[0] = code
			return
		}
		s[0] = code
	}
}

func (in *instance) put32(at uint64, v uint32) { binary.LittleEndian.PutUint32(in.view(at, 4), v) }

func (in *instance) put64(at uint64, v uint64) { binary.LittleEndian.PutUint64(in.view(at, 8), v) }

// writeSizes answers args_sizes_get and environ_sizes_get.
func (in *instance) writeSizes(s []uint64, all []string) {
	n := 0
	for _, one := range all {
		n += len(one) + 1
	}
	in.put32(s[0], uint32(len(all)))
	in.put32(s[1], uint32(n))
	s[0] = wasiSuccess
}

// writeStrings answers args_get and environ_get: pointers, and what they point
// to, each ended by a zero.
func (in *instance) writeStrings(s []uint64, all []string) {
	pointers, text := s[0], s[1]
	for i, one := range all {
		in.put32(pointers+uint64(i)*4, uint32(text))
		b := in.view(text, uint64(len(one)+1))
		copy(b, one)
		b[len(one)] = 0
		text += uint64(len(one) + 1)
	}
	s[0] = wasiSuccess
}

// Clocks of WASI.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

// clockGrain is how fine the guests' clocks are, in nanoseconds: enough for
// time-outs, too coarse to tell a cache hit from a miss.
const clockGrain = 1000

func (in *instance) clockResolution(s []uint64) {
	if uint32(s[0]) > clockMonotonic {
		s[0] = wasiInval
		return
	}
	in.put64(s[1], clockGrain)
	s[0] = wasiSuccess
}

func (in *instance) clockTime(s []uint64) {
	var now int64
	switch uint32(s[0]) {
	case clockRealtime:
		now = in.plugin.host.clock().UnixNano()
	case clockMonotonic:
		now = in.plugin.host.now()
	default:
		s[0] = wasiInval
		return
	}
	in.put64(s[2], uint64(now-now%clockGrain))
	s[0] = wasiSuccess
}

func (in *instance) wasiRandom(s []uint64) {
	b := in.view(s[0], s[1])
	if len(b) > abi.MaxRandom {
		s[0] = wasiInval
		return
	}
	if _, err := io.ReadFull(in.plugin.host.entropy, b); err != nil {
		panic(err)
	}
	s[0] = wasiSuccess
}

// maxVectors is how many buffers one read or write may name.
const maxVectors = 1024

// vectors calls f for each of n buffers described at address at, until it
// returns false. It reports whether n is acceptable.
func (in *instance) vectors(at, n uint64, f func(b []byte) bool) bool {
	if n > maxVectors {
		return false
	}
	list := in.view(at, n*8)
	for ; len(list) > 0; list = list[8:] {
		b := in.view(uint64(binary.LittleEndian.Uint32(list)), uint64(binary.LittleEndian.Uint32(list[4:])))
		if !f(b) {
			break
		}
	}
	return true
}

func (in *instance) readStdin(s []uint64) {
	if s[0] != 0 {
		s[0] = wasiBadf
		return
	}
	total := 0
	ok := in.vectors(s[1], s[2], func(b []byte) bool {
		n := copy(b, in.stdin[in.stdinPos:])
		in.stdinPos += n
		total += n
		return n == len(b)
	})
	if !ok {
		s[0] = wasiInval
		return
	}
	in.put32(s[3], uint32(total))
	s[0] = wasiSuccess
}

// writeStdout takes what a guest prints: a command's standard output is its
// answer, everything else is log lines.
func (in *instance) writeStdout(s []uint64) {
	fd := s[0]
	if fd != 1 && fd != 2 {
		s[0] = wasiBadf
		return
	}
	total := 0
	ok := in.vectors(s[1], s[2], func(b []byte) bool {
		total += len(b)
		if fd == 1 && in.stdout {
			if len(in.result)+len(b) > abi.MaxResult {
				panic(errAnswerSize)
			}
			in.result = append(in.result, b...)
			return true
		}
		in.print(b)
		return true
	})
	if !ok {
		s[0] = wasiInval
		return
	}
	in.put32(s[3], uint32(total))
	s[0] = wasiSuccess
}

// File types and rights of WASI.
const (
	characterDevice = 2
	rightRead       = 1 << 1
	rightWrite      = 1 << 6
	rightPoll       = 1 << 27
)

func (in *instance) fdStat(s []uint64) {
	fd := s[0]
	if fd > 2 {
		s[0] = wasiBadf
		return
	}
	b := in.view(s[1], 24)
	clear(b)
	b[0] = characterDevice
	rights := uint64(rightWrite | rightPoll)
	if fd == 0 {
		rights = rightRead | rightPoll
	}
	binary.LittleEndian.PutUint64(b[8:], rights)
	s[0] = wasiSuccess
}

func (in *instance) fileStat(s []uint64) {
	if s[0] > 2 {
		s[0] = wasiBadf
		return
	}
	b := in.view(s[1], 64)
	clear(b)
	b[16] = characterDevice
	s[0] = wasiSuccess
}

// Kinds of events and the size of what poll_oneoff takes and gives.
const (
	eventClock       = 0
	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 64
)

// poll is poll_oneoff: it sleeps until the first clock is due, but not past the
// call's deadline. Descriptors are always ready.
func (in *instance) poll(s []uint64) {
	n := s[2]
	if n == 0 || n > maxSubscriptions {
		s[0] = wasiInval
		return
	}
	subs, events := in.view(s[0], n*subscriptionSize), in.view(s[1], n*eventSize)
	sleep, ready := time.Duration(1<<63-1), false
	for at := 0; at < len(subs); at += subscriptionSize {
		sub := subs[at : at+subscriptionSize]
		if sub[8] != eventClock {
			ready = true
			continue
		}
		sleep = min(sleep, in.untilDue(sub))
	}
	if !ready {
		in.sleep(sleep)
	}
	count := 0
	for at := 0; at < len(subs); at += subscriptionSize {
		sub := subs[at : at+subscriptionSize]
		if sub[8] == eventClock && (ready || in.untilDue(sub) > sleep) {
			continue
		}
		event := events[count*eventSize : (count+1)*eventSize]
		clear(event)
		copy(event, sub[:8])
		event[10] = sub[8]
		count++
	}
	in.put32(s[3], uint32(count))
	s[0] = wasiSuccess
}

// untilDue returns how long a clock's subscription has to wait.
func (in *instance) untilDue(sub []byte) time.Duration {
	at := binary.LittleEndian.Uint64(sub[24:])
	if at > 1<<62 {
		return 1 << 62
	}
	if sub[40]&1 == 0 { // relative
		return time.Duration(at)
	}
	now := in.plugin.host.now()
	if binary.LittleEndian.Uint32(sub[16:]) == clockRealtime {
		now = in.plugin.host.clock().UnixNano()
	}
	return max(0, time.Duration(int64(at)-now))
}

// sleep waits for d, and ends the call when its deadline comes first.
func (in *instance) sleep(d time.Duration) {
	in.endTurn()
	left := in.left()
	if d > 0 {
		time.Sleep(min(d, max(0, left)))
	}
	if d >= left {
		in.missed = true
		panic(errDeadline)
	}
}

// tick is what metered code calls when its fuel is used up: reason is one of
// the meter's. It returns fuel for the next slice, or ends the call.
func (in *instance) tick(s []uint64) {
	s[0] = api.EncodeI32(in.refuel(int32(s[0])))
}
