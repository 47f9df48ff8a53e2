package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// markOf a process that runs now.
func markOf(pid int) (mark, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return mark{}, err
	}
	// The name in the second field may hold blanks and brackets: count from its end.
	_, after, _ := strings.Cut(string(text)[strings.LastIndex(string(text), ")"):], " ")
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return mark{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return mark{PID: pid, Start: fields[19]}, nil
}

// alive says whether the very process of the mark runs.
func (m mark) alive() bool {
	now, err := markOf(m.PID)
	return m.PID > 0 && err == nil && now == m
}

// kill the process of the mark and no other.
func (m mark) kill() error {
	if !m.alive() {
		return nil
	}
	return syscall.Kill(m.PID, syscall.SIGKILL)
}

// residentMiB is the memory of a process that is in RAM, in MiB; 0 where it is gone.
func residentMiB(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize() >> 20
}

// logTail is the last lines of a component's log.
func (r *rig) logTail(name string) string {
	text, err := os.ReadFile(r.path("logs", name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
