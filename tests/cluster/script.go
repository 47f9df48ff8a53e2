package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// script says what demand there is: it is one file in DIR/load, read again when it changes.
type script struct {
	Workloads []workload `json:"workloads"`
	// External are values of external.metrics.k8s.io that no workload makes.
	External []externalValue `json:"external"`
}

// workload is a Deployment (or what else has pods) and its demand.
type workload struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Selector of its pods; app=NAME without one.
	Selector string `json:"selector"`
	// Rate in requests per second, where there is no profile.
	Rate float64 `json:"rate"`
	// Profile has pairs of seconds and requests per second; before the first and after the last
	// the rate is theirs.
	Profile [][2]float64 `json:"profile"`
	// Shape is "step" (the default: a rate holds until the next pair) or "line".
	Shape string `json:"shape"`
	// Speed at which the profile passes; the components' clocks stay as they are.
	Speed float64 `json:"speed"`
	// Start of the profile; the moment when this script was read without one.
	Start *time.Time `json:"start"`
	// CPUMilliseconds of one request.
	CPUMilliseconds float64 `json:"cpuMs"`
	// ServiceMilliseconds of one request alone on a pod; without it, what a pod's limit makes of
	// the CPU that it needs.
	ServiceMilliseconds float64 `json:"serviceMs"`
	// BaseMilli is what an idle pod uses, in thousandths of a core.
	BaseMilli float64 `json:"baseMilli"`
	// Memory of an idle pod, and what a request per second adds.
	Memory       resource.Quantity `json:"memory"`
	MemoryPerRPS resource.Quantity `json:"memoryPerRps"`
	// CV is the coefficient of variation of the arrivals of one second.
	CV   float64 `json:"cv"`
	Seed uint64  `json:"seed"`
	// MaxBacklogSeconds of work that waits; what comes on top of it fails.
	MaxBacklogSeconds float64 `json:"maxBacklogSeconds"`

	selector labels.Selector
}

// externalValue of external.metrics.k8s.io.
type externalValue struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels"`
	Value     resource.Quantity `json:"value"`
}

// parseScript reads a script, fills in what it leaves out, and says what is wrong with it.
func parseScript(text []byte) (*script, error) {
	parsed := &script{}
	if err := yaml.UnmarshalStrict(bytes.TrimSpace(text), parsed); err != nil {
		return nil, err
	}
	if len(parsed.Workloads)+len(parsed.External) == 0 {
		return nil, errors.New("no workloads and no external values")
	}
	for i := range parsed.Workloads {
		w := &parsed.Workloads[i]
		if err := w.complete(); err != nil {
			return nil, fmt.Errorf("workloads[%d] %s/%s: %w", i, w.Namespace, w.Name, err)
		}
	}
	for i, value := range parsed.External {
		if value.Name == "" || value.Namespace == "" {
			return nil, fmt.Errorf("external[%d]: name and namespace are needed", i)
		}
	}
	return parsed, nil
}

func (w *workload) complete() error {
	if w.Namespace == "" || w.Name == "" {
		return errors.New("namespace and name are needed")
	}
	if w.Selector == "" {
		w.Selector = "app=" + w.Name
	}
	var err error
	if w.selector, err = labels.Parse(w.Selector); err != nil {
		return fmt.Errorf("selector: %w", err)
	}
	if len(w.Profile) == 0 {
		w.Profile = [][2]float64{{0, w.Rate}}
	}
	for i, pair := range w.Profile {
		if !(pair[1] >= 0) || math.IsInf(pair[1], 0) {
			return fmt.Errorf("profile[%d]: a rate is a number from 0, got %v", i, pair[1])
		}
		if i > 0 && !(pair[0] > w.Profile[i-1][0]) {
			return fmt.Errorf("profile[%d]: times rise, got %v after %v", i, pair[0], w.Profile[i-1][0])
		}
	}
	if w.Shape == "" {
		w.Shape = "step"
	}
	if w.Shape != "step" && w.Shape != "line" {
		return fmt.Errorf("shape is \"step\" or \"line\", got %q", w.Shape)
	}
	orElse(&w.Speed, 1)
	orElse(&w.CPUMilliseconds, 10)
	orElse(&w.MaxBacklogSeconds, 30)
	if w.Memory.IsZero() {
		w.Memory = resource.MustParse("32Mi")
	}
	for name, value := range map[string]float64{
		"speed": w.Speed, "cpuMs": w.CPUMilliseconds, "baseMilli": w.BaseMilli, "cv": w.CV, "serviceMs": w.ServiceMilliseconds,
		"maxBacklogSeconds": w.MaxBacklogSeconds,
	} {
		if value < 0 {
			return fmt.Errorf("%s is a number from 0, got %v", name, value)
		}
	}
	return nil
}

func orElse(value *float64, otherwise float64) {
	if *value == 0 {
		*value = otherwise
	}
}

// rateAt is the rate in requests per second, `seconds` after the start of the profile.
func (w *workload) rateAt(seconds float64) float64 {
	seconds *= w.Speed
	next := sort.Search(len(w.Profile), func(i int) bool { return w.Profile[i][0] > seconds })
	if next == 0 {
		return w.Profile[0][1]
	}
	from := w.Profile[next-1]
	if w.Shape == "step" || next == len(w.Profile) {
		return from[1]
	}
	to := w.Profile[next]
	return from[1] + (to[1]-from[1])*(seconds-from[0])/(to[0]-from[0])
}

// noise is 1 on average with a deviation of CV; it depends on the seed and the second alone, so
// two workloads with one seed get the same arrivals.
func (w *workload) noise(second int64) float64 {
	if w.CV == 0 {
		return 1
	}
	state := w.Seed*0x9e3779b97f4a7c15 + uint64(second)
	uniform := func() float64 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return (float64((z^z>>31)>>11) + 0.5) / (1 << 53)
	}
	normal := math.Sqrt(-2*math.Log(uniform())) * math.Cos(2*math.Pi*uniform())
	return math.Max(0, 1+w.CV*normal)
}
