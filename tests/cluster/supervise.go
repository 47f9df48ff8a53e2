package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// killAfter SIGTERM: the API server drains for ten seconds and more, which no test needs.
const killAfter = 1500 * time.Millisecond

// supervisor is the parent of all components of a rig.
type supervisor struct {
	rig      *rig
	mutex    sync.Mutex
	children map[string]*child
	ending   bool
}

// child is one process of a component; ended is closed when it was waited for.
type child struct {
	process *os.Process
	ended   chan struct{}
	wanted  bool
	state   string
}

// start runs a component. The kernel kills it when the thread that started it dies, so that thread
// waits for it and does nothing else.
func (s *supervisor) start(name string) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.ending {
		return fmt.Errorf("the rig is ending")
	}
	if old := s.children[name]; old != nil && !old.over() {
		return fmt.Errorf("%s runs already, process %d", name, old.process.Pid)
	}
	log, err := os.OpenFile(s.rig.path("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(self, append([]string{"component-" + name}, s.rig.arguments(name)...)...)
	command.Stdout, command.Stderr = log, log
	// With SIGTERM the API server would outlive a killed supervisor by many seconds. A group of
	// its own keeps an interrupt of the terminal from reaching it before the supervisor ends it.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	c := &child{ended: make(chan struct{}), wanted: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := command.Start()
		c.process = command.Process
		started <- err
		if err == nil {
			command.Wait()
			s.childEnded(name, c, command.ProcessState.String())
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	s.children[name] = c
	return nil
}

func (s *supervisor) childEnded(name string, c *child, state string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	c.state = state
	close(c.ended)
	if c.wanted && !s.ending {
		fmt.Fprintf(os.Stderr, "rig: %s ended by itself (%s); the end of its log:\n%s\n", name, state, s.rig.logTail(name))
	}
}

func (c *child) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (s *supervisor) child(name string) (*child, error) {
	if !slices.Contains(components(), name) {
		return nil, fmt.Errorf("there is no component %q; there are %s", name, componentNames)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	c := s.children[name]
	if c == nil || c.over() {
		return nil, fmt.Errorf("%s does not run: `rig start %s DIR` starts it", name, name)
	}
	return c, nil
}

// stop ends a component at once and waits for its end.
func (s *supervisor) stop(name string) error {
	c, err := s.child(name)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	c.wanted = false
	s.mutex.Unlock()
	c.process.Kill()
	<-c.ended
	return nil
}

// end ends all components, the last started first.
func (s *supervisor) end() {
	s.mutex.Lock()
	s.ending = true
	children := s.children
	s.mutex.Unlock()
	for _, c := range children {
		// A paused process would not see the first signal.
		c.process.Signal(syscall.SIGCONT)
		c.process.Signal(syscall.SIGTERM)
	}
	kill := time.After(killAfter)
	names := components()
	slices.Reverse(names)
	for _, name := range names {
		if c := children[name]; c != nil {
			select {
			case <-c.ended:
			case <-kill:
				for _, c := range children {
					c.process.Kill()
				}
				<-c.ended
			}
		}
	}
}

// status has a line for each component; `whole` where all run.
func (s *supervisor) status() (text string, whole bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	whole = true
	for _, name := range components() {
		c := s.children[name]
		switch {
		case c == nil:
			text += fmt.Sprintf("%-24s not started\n", name)
		case c.over():
			text += fmt.Sprintf("%-24s ended: %s\n", name, c.state)
		default:
			text += fmt.Sprintf("%-24s running pid %d rss %d MiB\n", name, c.process.Pid, residentMiB(c.process.Pid))
			continue
		}
		whole = false
	}
	return text, whole
}

var signals = map[string]syscall.Signal{
	"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL,
}

// serveControl answers the commands `status`, `stop`, `start`, `signal` and `down`, on loopback.
func (s *supervisor) serveControl(down context.CancelFunc) *http.Server {
	reply := func(w http.ResponseWriter, text string, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		io.WriteString(w, text)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		text, whole := s.status()
		if !whole {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, text)
	})
	mux.HandleFunc("POST /stop/{name}", func(w http.ResponseWriter, q *http.Request) {
		reply(w, "stopped\n", s.stop(q.PathValue("name")))
	})
	mux.HandleFunc("POST /start/{name}", func(w http.ResponseWriter, q *http.Request) {
		name := q.PathValue("name")
		if !slices.Contains(components(), name) {
			reply(w, "", fmt.Errorf("there is no component %q; there are %s", name, componentNames))
			return
		}
		reply(w, "started\n", s.start(name))
	})
	mux.HandleFunc("POST /signal/{signal}/{name}", func(w http.ResponseWriter, q *http.Request) {
		signal, known := signals[strings.ToUpper(q.PathValue("signal"))]
		if !known {
			reply(w, "", fmt.Errorf("no signal %q; there are STOP, CONT, TERM and KILL", q.PathValue("signal")))
			return
		}
		c, err := s.child(q.PathValue("name"))
		if err == nil {
			err = c.process.Signal(signal)
		}
		reply(w, "sent\n", err)
	})
	mux.HandleFunc("POST /down", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, "ending\n", nil)
		down()
	})
	return &http.Server{Addr: s.rig.address(portControl), Handler: mux}
}
