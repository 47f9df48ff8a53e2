package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
)

// Annotations that say what a pod without a workload uses, all its containers together; and, with
// ".CONTAINER" appended, what one container uses, whatever else is said.
const (
	annotationCPU    = "rig/cpu"
	annotationMemory = "rig/memory"
)

// idle usage, in cores and bytes, of a pod of which nothing is said or that is not ready.
const (
	idleCPU    = 0.001
	idleMemory = 1 << 20
)

// buckets of the latency histogram, in seconds.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// driver plays demand and usage. It is the kubelets' metrics endpoint too, so what pods use is
// written to no object, and the counters are exact integrals.
type driver struct {
	rig   *rig
	pods  listers.PodLister
	mutex sync.Mutex
	// scripts by file, with what tells a changed one.
	scripts map[string]*loaded
	states  map[string]*demand
	usages  map[containerKey]*usageState
	now     time.Time
	// containers is what commands and requests do in them.
	containers *containers
}

// loaded is a script and the file it was read from.
type loaded struct {
	script *script
	stamp  string
	since  time.Time
	err    error
}

// demand is the state of one workload: what waits, what was served, and the last second.
type demand struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Rate      float64    `json:"rate"`
	Served    float64    `json:"served"`
	Backlog   float64    `json:"backlog"`
	Ready     []readyPod `json:"ready"`

	capacity, utilization, wait, service float64
	servedTotal, failedTotal, secondsSum float64
	bucketTotals                         []float64
	cpuMilli, memory                     float64
	pods                                 int
	file                                 *os.File
}

// readyPod and its labels, by which metrics of pods are selected.
type readyPod struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
}

// containerKey of a counter: a restarted container begins anew.
type containerKey struct {
	namespace, pod, uid, container string
	restarts                       int32
}

type usageState struct {
	node       string
	started    time.Time
	cpuSeconds float64
	memory     float64
	seen       time.Time
}

// runLoad drives the rig in the given folder until a signal ends it.
func runLoad(arguments []string) error {
	r, err := oneDirectory(arguments)
	if err != nil {
		return err
	}
	ctx, cancel := signalContext()
	defer cancel()
	config, err := r.config("load")
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	d := &driver{
		rig: r, pods: factory.Core().V1().Pods().Lister(), now: time.Now(),
		scripts: map[string]*loaded{}, states: map[string]*demand{}, usages: map[containerKey]*usageState{},
	}
	if d.containers, err = newContainers(r.path("exec.log")); err != nil {
		return err
	}
	informer := factory.Core().V1().Pods().Informer()
	factory.Start(ctx.Done())
	failed := make(chan error, 2)
	go func() { failed <- d.serve() }()
	go func() { failed <- d.serveKubelets() }()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case now := <-ticker.C:
			d.readScripts(now)
			if informer.HasSynced() {
				d.tick(now)
			}
		}
	}
}

func (d *driver) serve() error {
	return http.ListenAndServe(d.rig.address(portExporter), d.handler())
}

func (d *driver) serveKubelets() error {
	server := http.Server{
		Addr: d.rig.address(portKubelet), Handler: d.kubelet(),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return server.ListenAndServeTLS(d.rig.pki("server.crt"), d.rig.pki("server.key"))
}

// readScripts takes in files that are new or have changed; a bad one leaves the last good one.
func (d *driver) readScripts(now time.Time) {
	paths, _ := filepath.Glob(d.rig.path("load", "*.yaml"))
	d.mutex.Lock()
	defer d.mutex.Unlock()
	maps.DeleteFunc(d.scripts, func(path string, _ *loaded) bool { return !slices.Contains(paths, path) })
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		stamp := fmt.Sprint(info.ModTime().UnixNano(), info.Size())
		old := d.scripts[path]
		if old != nil && old.stamp == stamp {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		read := &loaded{stamp: stamp, since: now}
		if read.script, read.err = parseScript(text); read.err != nil {
			slog.Error("script not taken", "file", path, "error", read.err)
			if old != nil {
				read.script, read.since = old.script, old.since
			}
		}
		d.scripts[path] = read
	}
}

// tick plays the time since the last one.
func (d *driver) tick(now time.Time) {
	pods, err := d.pods.List(labels.Everything())
	if err != nil {
		slog.Error("cannot list pods", "error", err)
		return
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	seconds := now.Sub(d.now).Seconds()
	d.now = now
	usage := map[string]podUsage{}
	current := map[string]bool{}
	for _, file := range d.scripts {
		if file.script == nil {
			continue
		}
		for i := range file.script.Workloads {
			w := &file.script.Workloads[i]
			current[w.Namespace+"/"+w.Name] = true
			d.play(w, file.since, seconds, pods, usage)
		}
	}
	for key, state := range d.states {
		if !current[key] {
			state.file.Close()
			delete(d.states, key)
		}
	}
	extra := d.containers.tick(pods, seconds)
	for _, pod := range pods {
		d.use(pod, usage, extra[key(pod)], now)
	}
	maps.DeleteFunc(d.usages, func(_ containerKey, u *usageState) bool { return u.seen != now })
}

// podUsage in cores and bytes.
type podUsage struct{ cpu, memory float64 }

func key(pod *core.Pod) string { return pod.Namespace + "/" + pod.Name }

// play serves what a workload's ready pods can serve of what waits and what comes.
func (d *driver) play(w *workload, since time.Time, seconds float64, pods []*core.Pod, usage map[string]podUsage) {
	state := d.state(w)
	if state == nil {
		return
	}
	if w.Start != nil {
		since = *w.Start
	}
	state.Rate = w.rateAt(d.now.Sub(since).Seconds()) * w.noise(d.now.Unix())
	limits := map[*core.Pod]float64{}
	state.pods, state.Ready, state.capacity = 0, state.Ready[:0], 0
	for _, pod := range pods {
		if pod.Namespace != w.Namespace || pod.DeletionTimestamp != nil || !w.selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		state.pods++
		if isReady(pod) {
			limits[pod] = limitMilli(pod)
			state.Ready = append(state.Ready, readyPod{pod.Name, pod.Labels})
			state.capacity += math.Max(0, limits[pod]-w.BaseMilli) / w.CPUMilliseconds
		}
	}
	slices.SortFunc(state.Ready, func(a, b readyPod) int { return strings.Compare(a.Name, b.Name) })
	state.serve(w, seconds)
	state.cpuMilli, state.memory = 0, 0
	for pod, limit := range limits {
		// A pod takes demand by its share of the capacity, and so all are equally busy.
		share := 0.0
		if state.capacity > 0 {
			share = state.Served * math.Max(0, limit-w.BaseMilli) / w.CPUMilliseconds / state.capacity
		}
		milli := math.Min(limit, w.BaseMilli+share*w.CPUMilliseconds)
		memory := float64(w.Memory.Value()) + share*float64(w.MemoryPerRPS.Value())
		usage[key(pod)] = podUsage{math.Max(milli/1000, idleCPU), memory}
		state.cpuMilli += milli
		state.memory += memory
	}
	fmt.Fprintf(state.file, "%.3f,%.3f,%d,%d,%.3f,%.4f,%.4f,%.4f,%.2f,%.1f,%.1f\n",
		float64(d.now.UnixMilli())/1000, state.Rate, state.pods, len(state.Ready), state.capacity,
		state.utilization, state.quantile(0.5), state.quantile(0.95), state.Backlog, state.failedTotal, state.cpuMilli)
}

func (d *driver) state(w *workload) *demand {
	name := w.Namespace + "/" + w.Name
	if state := d.states[name]; state != nil {
		return state
	}
	path := d.rig.path("demand", w.Namespace+"."+w.Name+".csv")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		slog.Error("no record of the demand", "error", err)
		return nil
	}
	if info, err := file.Stat(); err == nil && info.Size() == 0 {
		file.WriteString("t,rps,pods,ready,capacity_rps,util,p50_s,p95_s,backlog,failed_total,cpu_m\n")
	}
	state := &demand{Namespace: w.Namespace, Name: w.Name, file: file, bucketTotals: make([]float64, len(buckets))}
	d.states[name] = state
	return state
}

// serve takes `seconds` of arrivals: a queue before a server that shares itself among its requests.
func (s *demand) serve(w *workload, seconds float64) {
	arrivals := s.Rate * seconds
	served := math.Min(s.Backlog+arrivals, s.capacity*seconds)
	waiting := s.Backlog + arrivals - served
	s.Backlog = math.Min(waiting, s.capacity*w.MaxBacklogSeconds)
	failed := waiting - s.Backlog
	s.failedTotal += failed
	s.servedTotal += served
	s.Served, s.utilization, s.wait, s.service = 0, 0, 0, 0
	if s.capacity <= 0 || seconds <= 0 {
		return
	}
	s.Served = served / seconds
	s.utilization = math.Min(0.98, s.Served/s.capacity)
	s.wait = s.Backlog / s.capacity
	alone := w.ServiceMilliseconds / 1000
	if alone == 0 {
		alone = float64(len(s.Ready)) / s.capacity
	}
	s.service = alone / (1 - s.utilization)
	s.secondsSum += served * (s.wait + s.service)
	for i, bound := range buckets {
		if bound > s.wait {
			s.bucketTotals[i] += served * (1 - math.Exp(-(bound-s.wait)/s.service))
		}
	}
}

// quantile of the latency of the last second, in seconds; 0 where nothing was served.
func (s *demand) quantile(q float64) float64 {
	return s.wait + s.service*math.Log(1/(1-q))
}

// use adds up what a running pod's containers use.
func (d *driver) use(pod *core.Pod, usage map[string]podUsage, extra map[string]containerUse, now time.Time) {
	if pod.Status.Phase != core.PodRunning || len(pod.Status.ContainerStatuses) == 0 {
		return
	}
	whole, known := usage[key(pod)]
	if !known {
		whole = podUsage{idleCPU, idleMemory}
		if isReady(pod) {
			whole = podUsage{
				quantity(pod.Annotations[annotationCPU], idleCPU),
				quantity(pod.Annotations[annotationMemory], idleMemory),
			}
		}
	}
	share := float64(len(pod.Status.ContainerStatuses))
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running == nil {
			continue
		}
		id := containerKey{pod.Namespace, pod.Name, string(pod.UID), status.Name, status.RestartCount}
		state := d.usages[id]
		if state == nil {
			state = &usageState{node: pod.Spec.NodeName, started: status.State.Running.StartedAt.Time, seen: status.State.Running.StartedAt.Time}
			d.usages[id] = state
		}
		cpu := quantity(pod.Annotations[annotationCPU+"."+status.Name], whole.cpu/share)
		if more, has := extra[status.Name]; has {
			cpu = math.Max(cpu, math.Min(cpu+more.cpu, containerLimit(pod, status.Name)/1000))
		}
		state.cpuSeconds += cpu * math.Max(0, now.Sub(state.seen).Seconds())
		state.memory = quantity(pod.Annotations[annotationMemory+"."+status.Name], whole.memory/share) + extra[status.Name].memory
		state.seen = now
	}
}

// quantity of an annotation; what is there without one, and for one that is none.
func quantity(text string, otherwise float64) float64 {
	if text == "" {
		return otherwise
	}
	value, err := resource.ParseQuantity(strings.TrimSpace(text))
	if err != nil {
		return otherwise
	}
	return value.AsApproximateFloat64()
}

func isReady(pod *core.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == core.PodReady {
			return condition.Status == core.ConditionTrue
		}
	}
	return false
}

// limitMilli of a pod's CPU as its kubelet has it, not as it is wished: the limit, else the request,
// else one core for each container.
func limitMilli(pod *core.Pod) float64 {
	sum := 0.0
	for _, status := range pod.Status.ContainerStatuses {
		milli := int64(1000)
		if status.Resources != nil {
			if request, has := status.Resources.Requests[core.ResourceCPU]; has {
				milli = request.MilliValue()
			}
			if limit, has := status.Resources.Limits[core.ResourceCPU]; has {
				milli = limit.MilliValue()
			}
		}
		sum += float64(milli)
	}
	return sum
}

// snapshot of all workloads and external values, in the order of their names.
func (d *driver) snapshot() ([]*demand, []externalValue) {
	var external []externalValue
	for _, path := range slices.Sorted(maps.Keys(d.scripts)) {
		if read := d.scripts[path]; read.script != nil {
			external = append(external, read.script.External...)
		}
	}
	var states []*demand
	for _, name := range slices.Sorted(maps.Keys(d.states)) {
		states = append(states, d.states[name])
	}
	return states, external
}
