package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// upOptions of `rig up`.
type upOptions struct {
	dir                               string
	base, nodes                       int
	foreground, untilStdin, waitUsage bool
}

func parseUp(name string, arguments []string) (upOptions, error) {
	options := upOptions{}
	base, err := strconv.Atoi(setting("RIG_PORT_BASE", "0"))
	if err != nil {
		return options, fmt.Errorf("RIG_PORT_BASE: %w: give a number of a port", err)
	}
	nodes, err := strconv.Atoi(setting("RIG_NODES", "25"))
	if err != nil {
		return options, fmt.Errorf("RIG_NODES: %w: give a number", err)
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.IntVar(&options.base, "port-base", base, "first port of the rig; 0 takes a free block")
	flags.IntVar(&options.nodes, "nodes", nodes, "fake nodes of 32 cores and 128 GiB")
	flags.BoolVar(&options.foreground, "foreground", false, "stay, and end with a signal")
	flags.BoolVar(&options.untilStdin, "until-stdin-ends", false, "end when standard input ends")
	flags.BoolVar(&options.waitUsage, "wait-usage", false, "be ready only when metrics.k8s.io has samples")
	// The folder may come before the flags or after them.
	for len(arguments) > 0 {
		if arguments[0] == "" || arguments[0][0] != '-' {
			if options.dir != "" {
				return options, fmt.Errorf("one folder, not %q and %q", options.dir, arguments[0])
			}
			options.dir, arguments = arguments[0], arguments[1:]
			continue
		}
		if err := flags.Parse(arguments); err != nil {
			return options, err
		}
		arguments = flags.Args()
	}
	if options.dir == "" {
		return options, errors.New("name the folder of the rig")
	}
	if options.nodes < 1 || options.nodes > 250 {
		return options, fmt.Errorf("%d nodes: from 1 to 250", options.nodes)
	}
	options.dir, err = filepath.Abs(options.dir)
	return options, err
}

// up starts a rig, in this process or in one that outlives it.
func up(arguments []string) error {
	options, err := parseUp("up", arguments)
	if err != nil {
		return err
	}
	if options.foreground {
		return superviseRig(options)
	}
	if old, err := openRig(options.dir); err == nil && old.Supervisor.alive() {
		return fmt.Errorf("a rig is up in %s already: `rig down %s` ends it", options.dir, options.dir)
	}
	if err := os.MkdirAll(options.dir, 0o700); err != nil {
		return err
	}
	os.Remove(filepath.Join(options.dir, "ready"))
	log, err := os.Create(filepath.Join(options.dir, "supervisor.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(self, append([]string{"supervise"}, arguments...)...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("not up:\n%s", text)
		case <-time.After(50 * time.Millisecond):
		}
		if text, err := os.ReadFile(filepath.Join(options.dir, "ready")); err == nil {
			os.Stdout.Write(text)
			return nil
		}
	}
}

func supervise(arguments []string) error {
	options, err := parseUp("supervise", arguments)
	if err != nil {
		return err
	}
	return superviseRig(options)
}

// superviseRig brings a rig up, says so, and stays until it is told to end.
func superviseRig(options upOptions) error {
	ctx, cancel := signalContext()
	defer cancel()
	if options.untilStdin {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	r, lock, err := newRig(options)
	if err != nil {
		return err
	}
	s := &supervisor{rig: r, children: map[string]*child{}}
	control := s.serveControl(cancel)
	listener, err := net.Listen("tcp", control.Addr)
	if err != nil {
		return err
	}
	go control.Serve(listener)
	defer control.Close()
	defer s.end()
	if err := s.bringUp(ctx, options.waitUsage); err != nil {
		return err
	}
	// All ports are bound now.
	lock.Close()
	ready := fmt.Sprintf("export KUBECONFIG=%s\n", r.kubeconfig("admin"))
	if err := writeWhole(r.path("ready"), []byte(ready)); err != nil {
		return err
	}
	os.Stdout.WriteString(ready)
	<-ctx.Done()
	os.Remove(r.path("ready"))
	return nil
}

// newRig makes the folder with all that the components read.
func newRig(options upOptions) (*rig, *os.File, error) {
	if old, err := openRig(options.dir); err == nil {
		if old.Supervisor.alive() {
			return nil, nil, fmt.Errorf("a rig is up in %s already: `rig down %s` ends it", options.dir, options.dir)
		}
		for _, name := range []string{"etcd", "pki", "logs", "load", "demand", "audit.log", "exec.log", "ready"} {
			if err := os.RemoveAll(filepath.Join(options.dir, name)); err != nil {
				return nil, nil, err
			}
		}
	}
	base, lock, err := claimPorts(options.base)
	if err != nil {
		return nil, nil, err
	}
	r := &rig{Dir: options.dir, Base: base, Nodes: options.nodes}
	for _, name := range []string{"logs", "load", "demand"} {
		if err := os.MkdirAll(r.path(name), 0o700); err != nil {
			return nil, nil, err
		}
	}
	if r.Supervisor, err = markOf(os.Getpid()); err != nil {
		return nil, nil, err
	}
	if err := r.writePKI(); err != nil {
		return nil, nil, err
	}
	if err := r.writeSettings(); err != nil {
		return nil, nil, err
	}
	return r, lock, r.save()
}

// bringUp starts the components in their order and waits for what tests take for granted.
func (s *supervisor) bringUp(ctx context.Context, waitUsage bool) error {
	r := s.rig
	began := time.Now()
	step := func(what string) {
		fmt.Fprintf(os.Stderr, "rig: %5.1f s  %s\n", time.Since(began).Seconds(), what)
	}
	alive := func(name string, ask func() error) error {
		return waitFor(ctx, 2*time.Minute, name, func() error {
			if _, err := s.child(name); err != nil {
				return lasting{fmt.Errorf("%w; the end of its log:\n%s", err, r.logTail(name))}
			}
			return ask()
		})
	}
	if err := s.start("etcd"); err != nil {
		return err
	}
	if err := alive("etcd", func() error { return get("http://" + r.address(portEtcd) + "/health") }); err != nil {
		return err
	}
	step("etcd")
	if err := s.start("kube-apiserver"); err != nil {
		return err
	}
	if err := alive("kube-apiserver", func() error { return r.ready() }); err != nil {
		return err
	}
	step("kube-apiserver")
	for _, name := range components()[2:] {
		if name == "kwok" {
			// What follows needs the roles.
			if err := r.applyBase(ctx); err != nil {
				return fmt.Errorf("first objects: %w", err)
			}
			step("first objects")
		}
		if err := s.start(name); err != nil {
			return err
		}
	}
	if err := waitFor(ctx, 2*time.Minute, "the cluster", func() error {
		for _, name := range components() {
			if _, err := s.child(name); err != nil {
				return lasting{err}
			}
		}
		return r.complete(ctx, waitUsage)
	}); err != nil {
		text, _ := s.status()
		return fmt.Errorf("%w\n%s", err, text)
	}
	step("ready")
	return nil
}

// get is an error unless the answer is 200.
func get(url string) error {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}
