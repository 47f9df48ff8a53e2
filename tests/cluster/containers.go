package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
)

// annotationRequest is the CPU in milliseconds that one request through port-forward costs a pod.
const annotationRequest = "rig/cpu-per-request"

// sharedMemory is what /dev/shm of a pod holds, in MiB, as container runtimes make it.
const sharedMemory = 64

// longestWait of a request through port-forward, in seconds; what would wait longer gets a 503.
const longestWait = 30

// containers plays what goes on in containers: commands that `exec` starts, and requests that come
// through port-forward. Nothing of it touches this machine: no command is run, no port is dialled.
type containers struct {
	mutex    sync.Mutex
	log      *os.File
	commands map[int]*command
	last     int
	served   map[string]*servedPod
}

// command is one that `exec` has started and that has not ended.
type command struct {
	namespace, pod, container string
	stress                    stress
	// told to end, by a later command or because its pod is gone.
	told chan string
}

// stress is what a command does to its container.
type stress struct {
	kind      string
	workers   int
	mebibytes int
	length    time.Duration
	ends      []int
}

// servedPod counts requests through port-forward; they wait for the one core share of the pod.
type servedPod struct {
	container string
	total     int64
	refused   int64
	// recent since the last tick, and what they cost in seconds of CPU.
	recent float64
	free   time.Time
}

// containerUse is what a container uses on top of what scripts and annotations say.
type containerUse struct{ cpu, memory float64 }

func newContainers(path string) (*containers, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &containers{log: log, commands: map[int]*command{}, served: map[string]*servedPod{}}, err
}

// stressMark begins the comment by which Foresail's shell texts say what they do.
const stressMark = "# foresail-stress "

// parseStress of a command's words; the kind is empty for a command that says nothing.
func parseStress(words []string) (stress, error) {
	for line := range strings.Lines(strings.Join(words, "\n")) {
		text, marked := strings.CutPrefix(strings.TrimSpace(line), stressMark)
		fields := strings.Fields(text)
		if !marked || len(fields) == 0 {
			continue
		}
		read := stress{kind: fields[0]}
		for _, field := range fields[1:] {
			name, value, _ := strings.Cut(field, "=")
			for _, part := range strings.Split(value, ",") {
				number, err := strconv.Atoi(part)
				if err != nil || number < 0 {
					return read, fmt.Errorf("%s: %q is no whole number from 0", field, part)
				}
				switch name {
				case "workers":
					read.workers = number
				case "mebibytes":
					read.mebibytes = number
				case "seconds":
					read.length = time.Duration(number) * time.Second
				case "pids":
					read.ends = append(read.ends, number)
				}
			}
		}
		return read, nil
	}
	return stress{}, nil
}

// execLine is one line of exec.log: a command's start or its end.
type execLine struct {
	At        time.Time `json:"at"`
	What      string    `json:"what"`
	PID       int       `json:"pid"`
	Namespace string    `json:"namespace"`
	Pod       string    `json:"pod"`
	Container string    `json:"container"`
	Command   []string  `json:"command,omitempty"`
	Kind      string    `json:"kind"`
	Code      *int      `json:"code,omitempty"`
	Why       string    `json:"why,omitempty"`
}

func (c *containers) write(line execLine) {
	line.At = time.Now()
	text, err := json.Marshal(line)
	if err == nil {
		_, err = c.log.Write(append(text, '\n'))
	}
	if err != nil {
		slog.Error("exec.log", "error", err)
	}
}

// run plays a command to its end: its exit code, and lines of its output as they come.
func (c *containers) run(namespace, pod, container string, words []string, say func(string)) int {
	read, err := parseStress(words)
	c.mutex.Lock()
	c.last++
	pid := c.last
	line := execLine{What: "start", PID: pid, Namespace: namespace, Pod: pod, Container: container, Command: words, Kind: read.kind}
	c.write(line)
	started := &command{namespace, pod, container, read, make(chan string, 1)}
	answer, code, stays := c.start(started, pid, err)
	c.mutex.Unlock()
	say(answer)
	line.What, line.Command, line.Why, line.Code = "end", nil, "done", &code
	if stays {
		select {
		case <-time.After(read.length):
			line.Why = "time"
		case line.Why = <-started.told:
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.commands, pid)
	c.write(line)
	return code
}

// start says what a command prints first, its exit code, and whether it stays.
func (c *containers) start(started *command, pid int, err error) (answer string, code int, stays bool) {
	read := started.stress
	if err != nil {
		return "error: " + err.Error(), 2, false
	}
	switch read.kind {
	case "cpu":
		c.commands[pid] = started
		return fmt.Sprintf("started %d", pid), 0, true
	case "memory":
		free := sharedMemory
		for _, other := range c.commands {
			if other.namespace == started.namespace && other.pod == started.pod {
				free -= other.stress.mebibytes
			}
		}
		if read.mebibytes > free {
			return fmt.Sprintf("refused %d", free), 3, false
		}
		c.commands[pid] = started
		return fmt.Sprintf("allocated %d", pid), 0, true
	case "end":
		for _, other := range read.ends {
			if old := c.commands[other]; old != nil && old.namespace == started.namespace && old.pod == started.pod {
				old.tell("told")
			}
		}
	}
	return "", 0, false
}

func (c *command) tell(why string) {
	select {
	case c.told <- why:
	default:
	}
}

// workers of busy loops in a container.
func (c *containers) workers(namespace, pod, container string) int {
	sum := 0
	for _, command := range c.commands {
		if command.namespace == namespace && command.pod == pod && command.container == container {
			sum += command.stress.workers
		}
	}
	return sum
}

// request takes in one request: how long its answer takes, or false where too many wait. A pod's
// requests share the container's limit evenly with the busy loops in it, one after another.
func (c *containers) request(pod *core.Pod, container string) (time.Duration, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	milliseconds := quantity(pod.Annotations[annotationRequest], 1)
	cores := containerLimit(pod, container) / 1000
	share := math.Min(1, cores) / float64(1+c.workers(pod.Namespace, pod.Name, container))
	state := c.servedPod(pod)
	state.container = container
	now := time.Now()
	if state.free.Before(now) {
		state.free = now
	}
	ends := state.free.Add(time.Duration(milliseconds / share * float64(time.Millisecond)))
	if ends.Sub(now).Seconds() > longestWait {
		state.refused++
		return 0, false
	}
	state.free = ends
	state.total++
	state.recent += milliseconds / 1000
	return ends.Sub(now), true
}

func (c *containers) servedPod(pod *core.Pod) *servedPod {
	state := c.served[key(pod)]
	if state == nil {
		state = &servedPod{}
		c.served[key(pod)] = state
	}
	return state
}

// containerLimit of CPU in thousandths of a core: the limit, else a core.
func containerLimit(pod *core.Pod, container string) float64 {
	for _, one := range pod.Spec.Containers {
		if limit, has := one.Resources.Limits[core.ResourceCPU]; has && one.Name == container {
			return float64(limit.MilliValue())
		}
	}
	return 1000
}

// tick tells commands of pods that are gone to end, and takes the costs of requests since the last one.
func (c *containers) tick(pods []*core.Pod, seconds float64) map[string]map[string]containerUse {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known := map[string]*core.Pod{}
	for _, pod := range pods {
		known[key(pod)] = pod
	}
	uses := map[string]map[string]containerUse{}
	add := func(pod, container string, cpu, memory float64) {
		if uses[pod] == nil {
			uses[pod] = map[string]containerUse{}
		}
		old := uses[pod][container]
		uses[pod][container] = containerUse{old.cpu + cpu, old.memory + memory}
	}
	for _, command := range c.commands {
		name := command.namespace + "/" + command.pod
		if known[name] == nil {
			command.tell("pod gone")
			continue
		}
		add(name, command.container, float64(command.stress.workers), float64(command.stress.mebibytes)*(1<<20))
	}
	for name, state := range c.served {
		if known[name] != nil && seconds > 0 {
			add(name, state.container, state.recent/seconds, 0)
		}
		state.recent = 0
	}
	return uses
}

// writeServed writes what the pods' own exporters would say of the requests they got.
func (c *containers) writeServed(write func(format string, values ...any)) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	write("# HELP nginx_http_requests_total Requests through port-forward that a pod answered.\n# TYPE nginx_http_requests_total counter\n")
	for _, name := range slices.Sorted(maps.Keys(c.served)) {
		namespace, pod, _ := strings.Cut(name, "/")
		write("nginx_http_requests_total{namespace=%q,pod=%q} %d\n", namespace, pod, c.served[name].total)
	}
	write("# HELP rig_refused_requests_total Requests through port-forward that too many others were before.\n# TYPE rig_refused_requests_total counter\n")
	for _, name := range slices.Sorted(maps.Keys(c.served)) {
		namespace, pod, _ := strings.Cut(name, "/")
		write("rig_refused_requests_total{namespace=%q,pod=%q} %d\n", namespace, pod, c.served[name].refused)
	}
}
