package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Ports of a rig, counted from its base.
const (
	portAPI = iota
	portEtcd
	portEtcdPeer
	portControllerManager
	portScheduler
	portKubelet
	portMetricsServer
	portExporter
	portAdapter
	portControl
	portCount
)

// A block of ports begins at the first free multiple of blockStep in this range, below the ports
// that the kernel gives to outgoing connections.
const (
	firstBase = 20000
	lastBase  = 32000
	blockStep = 20
)

// rig is what is known of a control plane; it is kept in DIR/rig.json.
type rig struct {
	Dir        string `json:"dir"`
	Base       int    `json:"portBase"`
	Nodes      int    `json:"nodes"`
	Supervisor mark   `json:"supervisor"`
}

// mark tells one process from a later one with the same id.
type mark struct {
	PID int `json:"pid"`
	// Start is field 22 of /proc/PID/stat, in ticks since boot.
	Start string `json:"start"`
}

func (r *rig) path(parts ...string) string {
	return filepath.Join(append([]string{r.Dir}, parts...)...)
}

func (r *rig) port(offset int) string { return strconv.Itoa(r.Base + offset) }

func (r *rig) address(offset int) string { return net.JoinHostPort("127.0.0.1", r.port(offset)) }

func (r *rig) server() string { return "https://" + r.address(portAPI) }

// openRig reads a rig that is or was up.
func openRig(dir string) (*rig, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "rig.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no rig in %s: start one with `rig up %s`", dir, dir)
	}
	if err != nil {
		return nil, err
	}
	r := &rig{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s/rig.json: %w", dir, err)
	}
	r.Dir = dir
	return r, nil
}

func (r *rig) save() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(r.path("rig.json"), text)
}

// writeWhole replaces a file so that a reader sees the old one or the new one.
func writeWhole(path string, text []byte) error {
	partial := path + ".tmp"
	if err := os.WriteFile(partial, text, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// claimPorts takes a block of free ports; the lock holds off other rigs until all are bound.
func claimPorts(base int) (int, *os.File, error) {
	if base != 0 {
		lock, err := claimBlock(base)
		return base, lock, err
	}
	for base := firstBase; base < lastBase; base += blockStep {
		if lock, err := claimBlock(base); err == nil {
			return base, lock, nil
		}
	}
	return 0, nil, fmt.Errorf("no block of %d free ports between %d and %d", portCount, firstBase, lastBase)
}

func claimBlock(base int) (*os.File, error) {
	name := filepath.Join(os.TempDir(), fmt.Sprintf("foresail-rig-%d.lock", base))
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("ports %d to %d belong to another rig", base, base+portCount-1)
	}
	for offset := range portCount {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+offset)))
		if err != nil {
			lock.Close()
			return nil, fmt.Errorf("port %d is not free: %w", base+offset, err)
		}
		listener.Close()
	}
	return lock, nil
}

// setting of the environment, or what it is without one.
func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// lasting is an error that no waiting mends.
type lasting struct{ error }

// waitFor asks until there is no error; the last error is told when the time is over, when nobody
// waits any more, or when it is a lasting one.
func waitFor(ctx context.Context, limit time.Duration, what string, ask func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if ended := (lasting{}); errors.As(err, &ended) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s: %w", what, limit, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: given up: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
