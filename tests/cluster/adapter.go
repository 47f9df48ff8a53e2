package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	custom "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	external "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
)

// adapterState is what the metrics adapter learns of the load driver.
type adapterState struct {
	At        time.Time       `json:"at"`
	Workloads []*demand       `json:"workloads"`
	External  []externalValue `json:"external"`
}

// measured metrics of a workload: of one ready pod, and of the whole.
var measured = map[string]func(*demand) float64{
	"http_requests_per_second": func(s *demand) float64 { return s.Rate },
	"http_requests_waiting":    func(s *demand) float64 { return s.Backlog },
}

const (
	customGroup   = "custom.metrics.k8s.io/v1beta2"
	externalGroup = "external.metrics.k8s.io/v1beta1"
)

// runAdapter serves custom.metrics.k8s.io and external.metrics.k8s.io of the rig in the given folder.
// Who asks was checked by the aggregator; the adapter listens on loopback alone.
func runAdapter(arguments []string) error {
	r, err := oneDirectory(arguments)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis/"+customGroup, func(w http.ResponseWriter, _ *http.Request) {
		list := meta.APIResourceList{GroupVersion: customGroup}
		for _, object := range []string{"pods", "deployments.apps", "statefulsets.apps", "services"} {
			for name := range measured {
				list.APIResources = append(list.APIResources, apiResource(object+"/"+name, "MetricValueList"))
			}
		}
		writeList(w, &list)
	})
	mux.HandleFunc("GET /apis/"+externalGroup, func(w http.ResponseWriter, _ *http.Request) {
		list := meta.APIResourceList{GroupVersion: externalGroup}
		for name := range measured {
			list.APIResources = append(list.APIResources, apiResource(name, "ExternalMetricValueList"))
		}
		writeList(w, &list)
	})
	mux.HandleFunc("GET /apis/"+customGroup+"/namespaces/{namespace}/{resource}/{name}/{metric}", r.answer(customMetric))
	mux.HandleFunc("GET /apis/"+externalGroup+"/namespaces/{namespace}/{metric}", r.answer(externalMetric))
	return http.ListenAndServeTLS(r.address(portAdapter), r.pki("server.crt"), r.pki("server.key"), mux)
}

func apiResource(name, kind string) meta.APIResource {
	return meta.APIResource{Name: name, Namespaced: true, Kind: kind, Verbs: meta.Verbs{"get"}}
}

func writeList(w http.ResponseWriter, list *meta.APIResourceList) {
	list.Kind, list.APIVersion = "APIResourceList", "v1"
	slices.SortFunc(list.APIResources, func(a, b meta.APIResource) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list)
}

var errNoMetric = errors.New("no such metric")

// answer asks the load driver first, so what is answered is never older than a second; without it
// the answer is an error and not a zero.
func (r *rig) answer(make func(*http.Request, *adapterState) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		state, err := r.adapterState()
		code := http.StatusServiceUnavailable
		var answer any
		if err == nil {
			answer, err = make(q, state)
			code = http.StatusBadRequest
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			reason := meta.StatusReasonServiceUnavailable
			if errors.Is(err, errNoMetric) {
				code, reason = http.StatusNotFound, meta.StatusReasonNotFound
			}
			w.WriteHeader(code)
			answer = meta.Status{
				TypeMeta: meta.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status:   meta.StatusFailure, Message: err.Error(), Reason: reason, Code: int32(code),
			}
		}
		json.NewEncoder(w).Encode(answer)
	}
}

func (r *rig) adapterState() (*adapterState, error) {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get("http://" + r.address(portExporter) + "/state")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	state := &adapterState{}
	return state, json.NewDecoder(answer.Body).Decode(state)
}

// customMetric of pods (by their labels, which are those of their workload) or of one object, which
// is the workload of that name.
func customMetric(q *http.Request, state *adapterState) (any, error) {
	name, object := q.PathValue("metric"), q.PathValue("resource")
	value, known := measured[name]
	if !known {
		return nil, fmt.Errorf("%w: %s", errNoMetric, name)
	}
	selector, err := labels.Parse(q.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	list := custom.MetricValueList{TypeMeta: meta.TypeMeta{Kind: "MetricValueList", APIVersion: customGroup}}
	add := func(kind, version, name string, value float64) {
		list.Items = append(list.Items, custom.MetricValue{
			DescribedObject: core.ObjectReference{Kind: kind, APIVersion: version, Namespace: q.PathValue("namespace"), Name: name},
			Metric:          custom.MetricIdentifier{Name: q.PathValue("metric")},
			Timestamp:       meta.NewTime(state.At),
			Value:           milli(value),
		})
	}
	for _, s := range state.Workloads {
		switch {
		case s.Namespace != q.PathValue("namespace"):
		case object == "pods":
			for _, pod := range s.Ready {
				if wanted := q.PathValue("name"); wanted == pod.Name || wanted == "*" && selector.Matches(labels.Set(pod.Labels)) {
					add("Pod", "v1", pod.Name, value(s)/float64(len(s.Ready)))
				}
			}
		case s.Name == q.PathValue("name"):
			kinds := map[string][2]string{
				"deployments.apps": {"Deployment", "apps/v1"}, "statefulsets.apps": {"StatefulSet", "apps/v1"}, "services": {"Service", "v1"},
			}
			if kind, known := kinds[object]; known {
				add(kind[0], kind[1], s.Name, value(s))
			}
		}
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("%w: %s of %s %s in %s", errNoMetric, name, object, q.PathValue("name"), q.PathValue("namespace"))
	}
	return list, nil
}

// externalMetric of all workloads of a namespace with a label `workload`, and of scripts.
func externalMetric(q *http.Request, state *adapterState) (any, error) {
	name, namespace := q.PathValue("metric"), q.PathValue("namespace")
	selector, err := labels.Parse(q.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	list := external.ExternalMetricValueList{TypeMeta: meta.TypeMeta{Kind: "ExternalMetricValueList", APIVersion: externalGroup}}
	add := func(set map[string]string, value resource.Quantity) {
		if selector.Matches(labels.Set(set)) {
			list.Items = append(list.Items, external.ExternalMetricValue{
				MetricName: name, MetricLabels: set, Timestamp: meta.NewTime(state.At), Value: value,
			})
		}
	}
	if value, known := measured[name]; known {
		for _, s := range state.Workloads {
			if s.Namespace == namespace {
				add(map[string]string{"workload": s.Name}, milli(value(s)))
			}
		}
	}
	for _, value := range state.External {
		if value.Namespace == namespace && value.Name == name {
			add(value.Labels, value.Value)
		}
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("%w: %s in %s", errNoMetric, name, namespace)
	}
	return list, nil
}

// milli rounds to thousandths, as the metrics APIs carry them.
func milli(value float64) resource.Quantity {
	return *resource.NewMilliQuantity(int64(value*1000+0.5), resource.DecimalSI)
}

func base64Text(text []byte) string { return base64.StdEncoding.EncodeToString(text) }
