package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// handler serves what Prometheus and metrics-server scrape, and the state for the metrics adapter.
func (d *driver) handler() http.Handler {
	mux := http.NewServeMux()
	locked := func(write func(w http.ResponseWriter, q *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			d.mutex.Lock()
			defer d.mutex.Unlock()
			write(w, q)
		}
	}
	mux.HandleFunc("GET /metrics", locked(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		d.writeDemand(w)
	}))
	mux.HandleFunc("GET /nodes/{node}/metrics/resource", locked(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		d.writeUsage(w, q.PathValue("node"))
	}))
	mux.HandleFunc("GET /containers", locked(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		d.writeUsage(w, "")
	}))
	mux.HandleFunc("GET /state", locked(func(w http.ResponseWriter, _ *http.Request) {
		states, external := d.snapshot()
		json.NewEncoder(w).Encode(adapterState{At: d.now, Workloads: states, External: external})
	}))
	mux.HandleFunc("GET /scripts", locked(func(w http.ResponseWriter, _ *http.Request) {
		for _, path := range slices.Sorted(maps.Keys(d.scripts)) {
			fmt.Fprintf(w, "%s: %v\n", path, d.scripts[path].err)
		}
	}))
	return mux
}

// family writes a metric's head and a line for each workload.
func family(w io.Writer, name, kind, help string, states []*demand, value func(*demand) float64) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range states {
		fmt.Fprintf(w, "%s{namespace=%q,workload=%q} %s\n", name, s.Namespace, s.Name, number(value(s)))
	}
}

func number(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }

// writeDemand writes what the workloads themselves would expose.
func (d *driver) writeDemand(w io.Writer) {
	states, external := d.snapshot()
	fmt.Fprint(w, "# HELP http_requests_total Requests answered.\n# TYPE http_requests_total counter\n")
	for _, s := range states {
		fmt.Fprintf(w, "http_requests_total{namespace=%q,workload=%q,code=\"200\"} %s\n", s.Namespace, s.Name, number(s.servedTotal))
		fmt.Fprintf(w, "http_requests_total{namespace=%q,workload=%q,code=\"503\"} %s\n", s.Namespace, s.Name, number(s.failedTotal))
	}
	fmt.Fprint(w, "# HELP http_request_duration_seconds Time from arrival to answer.\n# TYPE http_request_duration_seconds histogram\n")
	for _, s := range states {
		labels := fmt.Sprintf("namespace=%q,workload=%q", s.Namespace, s.Name)
		for i, bound := range buckets {
			fmt.Fprintf(w, "http_request_duration_seconds_bucket{%s,le=\"%s\"} %s\n", labels, number(bound), number(s.bucketTotals[i]))
		}
		fmt.Fprintf(w, "http_request_duration_seconds_bucket{%s,le=\"+Inf\"} %s\n", labels, number(s.servedTotal))
		fmt.Fprintf(w, "http_request_duration_seconds_sum{%s} %s\n", labels, number(s.secondsSum))
		fmt.Fprintf(w, "http_request_duration_seconds_count{%s} %s\n", labels, number(s.servedTotal))
	}
	gauge := func(name, help string, value func(*demand) float64) { family(w, name, "gauge", help, states, value) }
	gauge("rig_arrival_rate", "Requests per second that came in the last second.", func(s *demand) float64 { return s.Rate })
	gauge("rig_served_rate", "Requests per second that were served in the last second.", func(s *demand) float64 { return s.Served })
	gauge("rig_backlog", "Requests that wait.", func(s *demand) float64 { return s.Backlog })
	gauge("rig_pods", "Pods that are not being deleted.", func(s *demand) float64 { return float64(s.pods) })
	gauge("rig_ready_pods", "Pods that are ready.", func(s *demand) float64 { return float64(len(s.Ready)) })
	gauge("rig_capacity_rate", "Requests per second that the ready pods could serve.", func(s *demand) float64 { return s.capacity })
	gauge("rig_utilization", "Served over capacity.", func(s *demand) float64 { return s.utilization })
	gauge("rig_cpu_cores", "CPU of all pods.", func(s *demand) float64 { return s.cpuMilli / 1000 })
	gauge("rig_memory_bytes", "Memory of all pods.", func(s *demand) float64 { return s.memory })
	for _, value := range external {
		fmt.Fprintf(w, "rig_external{namespace=%q,name=%q} %s\n", value.Namespace, value.Name, number(value.Value.AsApproximateFloat64()))
	}
	d.containers.writeServed(func(format string, values ...any) { fmt.Fprintf(w, format, values...) })
}

// writeUsage writes a kubelet's /metrics/resource; of all nodes where none is named.
func (d *driver) writeUsage(w io.Writer, node string) {
	var cpu, memory, start strings.Builder
	// A node uses a little by itself: metrics-server drops one whose counter is 0.
	nodeSeconds, nodeMemory := float64(d.now.UnixMilli()%1e9)/1e5, 1e8
	at := d.now.UnixMilli()
	for id, usage := range d.usages {
		if node != "" && usage.node != node {
			continue
		}
		nodeSeconds += usage.cpuSeconds
		nodeMemory += usage.memory
		labels := fmt.Sprintf("container=%q,namespace=%q,pod=%q", id.container, id.namespace, id.pod)
		fmt.Fprintf(&cpu, "container_cpu_usage_seconds_total{%s} %s %d\n", labels, number(usage.cpuSeconds), at)
		fmt.Fprintf(&memory, "container_memory_working_set_bytes{%s} %s %d\n", labels, number(usage.memory), at)
		fmt.Fprintf(&start, "container_start_time_seconds{%s} %s\n", labels, number(float64(usage.started.UnixMilli())/1000))
	}
	fmt.Fprintf(w, "# TYPE container_cpu_usage_seconds_total counter\n%s", cpu.String())
	fmt.Fprintf(w, "# TYPE container_memory_working_set_bytes gauge\n%s", memory.String())
	fmt.Fprintf(w, "# TYPE container_start_time_seconds gauge\n%s", start.String())
	if node != "" {
		fmt.Fprintf(w, "# TYPE node_cpu_usage_seconds_total counter\nnode_cpu_usage_seconds_total %s %d\n", number(nodeSeconds), at)
		fmt.Fprintf(w, "# TYPE node_memory_working_set_bytes gauge\nnode_memory_working_set_bytes %s %d\n", number(nodeMemory), at)
	}
}
