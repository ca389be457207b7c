package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of /proc/*/stat on every Linux.
const tick = time.Second / 100

// cpuTime returns the processor time of a process and its children; 0 if there is no /proc. It doesn't include the kernel's
// work for the network, which is the same for all.
func cpuTime(pid int) time.Duration {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	own, parents := make(map[int]time.Duration), make(map[int]int)
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		// The name, in parentheses, may have spaces. After it: state, parent..., and the 14th and 15th field of all are
		// the times.
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(f) < 13 {
			continue
		}
		parents[child] = number(f[1])
		own[child] = time.Duration(number(f[11])+number(f[12])) * tick
	}
	return sum(pid, own, parents)
}

func sum(pid int, own map[int]time.Duration, parents map[int]int) time.Duration {
	total := own[pid]
	for child, parent := range parents {
		if parent == pid {
			total += sum(child, own, parents)
		}
	}
	return total
}

func number(b []byte) int {
	n, _ := strconv.Atoi(string(b)) // 0 if it isn't a number
	return n
}
