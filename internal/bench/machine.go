package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is the CPU time used on this machine up to a moment.
type machine struct {
	all, busy, ours time.Duration
}

// machineNow reads the machine's clocks of work. The host's share of a virtual
// machine (steal) is busy time, too.
func machineNow() (machine, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}, fmt.Errorf("CPU times are read from /proc: %w", err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	if len(fields) < 9 || fields[0] != "cpu" {
		return machine{}, fmt.Errorf("/proc/stat begins with %q, want the CPU times of the whole machine", line)
	}
	m := machine{ours: cpuOf(unix.RUSAGE_SELF) + cpuOf(unix.RUSAGE_CHILDREN)}
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return machine{}, fmt.Errorf("read /proc/stat: %w", err)
		}
		took := time.Duration(ticks) * time.Second / ticksPerSecond
		m.all += took
		if idle := i == 3 || i == 4; !idle {
			m.busy += took
		}
	}
	return m, nil
}

// others is the part of the machine, in percent, that was used since before by
// none of our processes. Those of ours that run still count as others.
func (m machine) others(before machine) float64 {
	if m.all == before.all {
		return 0
	}
	foreign := (m.busy - before.busy) - (m.ours - before.ours)
	return max(0, 100*float64(foreign)/float64(m.all-before.all))
}

// cpuOf is the CPU time of this process, or of its children that have ended.
func cpuOf(who int) time.Duration {
	var usage unix.Rusage
	_ = unix.Getrusage(who, &usage) // fails for arguments that are not ours
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
