// Vectors for the Vertical Pod Autoscaler's recommender from the real module (its version stands in go.mod).
//
// Seeded sequences of samples, kills, restarts from checkpoints and clean-ups are fed to its cluster state; what it recommends, the
// percentiles of its histograms and its checkpoints are written to tests/golden/vpa/recommender.json. With -check nothing is written and
// the stored file is compared instead. See README.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	autoscaling "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	vpa_types "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/apis/autoscaling.k8s.io/v1"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/logic"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/routines"
	controllerfetcher "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/target/controller_fetcher"
)

const (
	namespace = "default"
	container = "app"
	module    = "k8s.io/autoscaler/vertical-pod-autoscaler"
)

// Kinds of an event, its first number.
const (
	cpuSample = iota
	memorySample
	memoryKill
	restart
	cleanUp
)

// Times are milliseconds after this.
var begin = time.Date(2025, time.March, 3, 7, 11, 19, 0, time.UTC)

// Percentiles of the histograms that are written.
var asked = []float64{0, 0.25, 0.5, 0.9, 1}

// Event is [kind, pod, milliseconds after the start, value]; what it does not need is 0.
type Event [4]int64

// Want is what the recommender says after an event; cpu and memory are [lower, target, upper, uncapped].
type Want struct {
	After             int       `json:"after"`
	Samples           int       `json:"samples"`
	CPU               []int64   `json:"cpu"`
	Memory            []int64   `json:"memory"`
	CPUPercentiles    []float64 `json:"cpuPercentiles"`
	MemoryPercentiles []float64 `json:"memoryPercentiles"`
}

// Sequence is one run of a recommender.
type Sequence struct {
	Name        string            `json:"name"`
	Settings    Settings          `json:"settings"`
	Groups      []int             `json:"groups"`
	Events      []Event           `json:"events"`
	Refused     []int             `json:"refused"`
	Wants       []Want            `json:"wants"`
	Checkpoints []json.RawMessage `json:"checkpoints"`
}

type none struct{}

func (none) FindTopMostWellKnownOrScalable(context.Context, *controllerfetcher.ControllerKeyWithAPIVersion) (*controllerfetcher.ControllerKeyWithAPIVersion, error) {
	return nil, nil
}

// run drives one cluster of one VPA object.
type run struct {
	out     *Sequence
	cluster model.ClusterState
	object  *vpa_types.VerticalPodAutoscaler
	config  logic.RecommendationConfig
	format  logic.RecommendationFormat
}

func podID(pod int) model.PodID {
	return model.PodID{Namespace: namespace, PodName: fmt.Sprintf("pod-%d", pod)}
}

func containerID(pod int) model.ContainerID {
	return model.ContainerID{PodID: podID(pod), ContainerName: container}
}

// start makes an empty cluster with the object and its pods; pods of one group share their labels.
func (r *run) start() error {
	s := r.out.Settings
	model.InitializeAggregationsConfig(model.NewAggregationsConfig(s.interval(), s.MemoryAggregationIntervalCount,
		seconds(s.MemoryHistogramDecayHalfLifeSeconds), seconds(s.CPUHistogramDecayHalfLifeSeconds), s.OOMBumpUpRatio, s.OOMMinBumpUpBytes))
	r.cluster = model.NewClusterState(0)
	selector, err := labels.Parse("app=web")
	if err != nil {
		return err
	}
	if err := r.cluster.AddOrUpdateVpa(r.object, selector); err != nil {
		return err
	}
	for pod, group := range r.out.Groups {
		set := labels.Set{"app": "web", "revision": fmt.Sprint(group)}
		r.cluster.AddOrUpdatePod(podID(pod), set, corev1.PodRunning)
		for other := 0; other < s.Containers; other++ {
			id := containerID(pod)
			if other > 0 {
				id.ContainerName = fmt.Sprintf("side-%d", other)
			}
			if err := r.cluster.AddOrUpdateContainer(id, model.Resources{}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) vpa() *model.Vpa {
	return r.cluster.VPAs()[model.VpaID{Namespace: namespace, VpaName: "web"}]
}

// feed does one event; it answers whether it was taken.
func (r *run) feed(e Event) (bool, error) {
	kind, pod, at, value := e[0], int(e[1]), begin.Add(time.Duration(e[2])*time.Millisecond), model.ResourceAmount(e[3])
	sample := func(name model.ResourceName) error {
		usage := model.ContainerUsageSample{MeasureStart: at, Usage: value, Resource: name}
		return r.cluster.AddSample(&model.ContainerUsageSampleWithKey{ContainerUsageSample: usage, Container: containerID(pod)})
	}
	switch kind {
	case cpuSample:
		return sample(model.ResourceCPU) == nil, nil
	case memorySample:
		return sample(model.ResourceMemory) == nil, nil
	case memoryKill:
		return r.cluster.RecordOOM(containerID(pod), at, value) == nil, nil
	case restart:
		return true, r.restart(at)
	case cleanUp:
		r.cluster.RateLimitedGarbageCollectAggregateCollectionStates(context.Background(), at, none{})
		return true, nil
	}
	return false, fmt.Errorf("event of kind %d", kind)
}

// restart writes a checkpoint as the recommender does and begins again from what the API server gives back. The recommender's own
// function looks at the clock of the machine, so the peak of the interval that is not over is taken out here, by the same calls.
func (r *run) restart(now time.Time) error {
	states := r.vpa().AggregateStateByContainerName()
	state, found := states[container]
	if !found {
		return fmt.Errorf("no state to write at %v", now)
	}
	for pod := range r.out.Groups {
		c := r.cluster.GetContainer(containerID(pod))
		if now.Before(c.WindowEnd) {
			state.AggregateMemoryPeaks.SubtractSample(model.BytesFromMemoryAmount(c.GetMaxMemoryPeak()), 1.0, c.WindowEnd)
		}
	}
	status, err := state.SaveToCheckpoint()
	if err != nil {
		return err
	}
	// The one field that holds the time of this run.
	status.LastUpdateTime = metav1.Time{}
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	r.out.Checkpoints = append(r.out.Checkpoints, text)
	if err := r.start(); err != nil {
		return err
	}
	var read vpa_types.VerticalPodAutoscalerCheckpointStatus
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	loaded := model.NewAggregateContainerState()
	if err := loaded.LoadFromCheckpoint(&read); err != nil {
		return err
	}
	r.vpa().ContainersInitialAggregateState[container] = loaded
	return nil
}

// want is what the recommender would write into the object's status now.
func (r *run) want(after int) Want {
	states := routines.GetContainerNameToAggregateStateMap(r.vpa())
	resources := logic.CreatePodResourceRecommender(r.config).GetRecommendedPodResources(states)
	listed := logic.MapToListOfRecommendedContainerResources(resources, r.format)
	listed = routines.NewCappingRecommendationProcessor(corev1.ResourceList{}).Process(r.object, listed)
	want := Want{After: after}
	state, found := states[container]
	if !found {
		return want
	}
	want.Samples = state.TotalSamplesCount
	for _, p := range asked {
		want.CPUPercentiles = append(want.CPUPercentiles, state.AggregateCPUUsage.Percentile(p))
		want.MemoryPercentiles = append(want.MemoryPercentiles, state.AggregateMemoryPeaks.Percentile(p))
	}
	for _, c := range listed.ContainerRecommendations {
		if c.ContainerName != container {
			continue
		}
		for _, list := range []corev1.ResourceList{c.LowerBound, c.Target, c.UpperBound, c.UncappedTarget} {
			want.CPU = append(want.CPU, list.Cpu().MilliValue())
			want.Memory = append(want.Memory, list.Memory().Value())
		}
	}
	return want
}

func amounts(cpuMilli, memoryBytes int64) corev1.ResourceList {
	list := corev1.ResourceList{}
	if cpuMilli > 0 {
		list[corev1.ResourceCPU] = *resource.NewMilliQuantity(cpuMilli, resource.DecimalSI)
	}
	if memoryBytes > 0 {
		list[corev1.ResourceMemory] = *resource.NewQuantity(memoryBytes, resource.BinarySI)
	}
	return list
}

func drive(plan Plan) (*Sequence, error) {
	s := plan.Settings
	out := &Sequence{Name: plan.Name, Settings: s, Groups: plan.Groups, Events: plan.Events, Refused: []int{}, Wants: []Want{}, Checkpoints: []json.RawMessage{}}
	policy := vpa_types.ContainerResourcePolicy{
		ContainerName: container,
		MinAllowed:    amounts(s.MinAllowed[0], s.MinAllowed[1]),
		MaxAllowed:    amounts(s.MaxAllowed[0], s.MaxAllowed[1]),
	}
	r := &run{
		out: out, config: s.config(), format: s.format(),
		object: &vpa_types.VerticalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"},
			Spec: vpa_types.VerticalPodAutoscalerSpec{
				TargetRef:      &autoscaling.CrossVersionObjectReference{Kind: "Deployment", Name: "web", APIVersion: "apps/v1"},
				ResourcePolicy: &vpa_types.PodResourcePolicy{ContainerPolicies: []vpa_types.ContainerResourcePolicy{policy}},
			},
		},
	}
	if err := r.start(); err != nil {
		return nil, err
	}
	for i, e := range plan.Events {
		taken, err := r.feed(e)
		if err != nil {
			return nil, fmt.Errorf("%s, event %d: %w", plan.Name, i, err)
		}
		if !taken {
			out.Refused = append(out.Refused, i)
		}
		if (i+1)%plan.Every == 0 || i+1 == len(plan.Events) || e[0] >= restart {
			out.Wants = append(out.Wants, r.want(i))
		}
	}
	return out, nil
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return "unknown"
}

// text is the whole file: a line per sequence.
func text() ([]byte, error) {
	var b bytes.Buffer
	head, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "{\"module\": %q, \"version\": %q, \"begin\": %d, \"percentiles\": %s, \"sequences\": [\n", module, version(), begin.UnixNano(), head)
	plans := plans()
	for i, plan := range plans {
		sequence, err := drive(plan)
		if err != nil {
			return nil, err
		}
		line, err := json.Marshal(sequence)
		if err != nil {
			return nil, err
		}
		b.Write(line)
		if i+1 < len(plans) {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]}\n")
	return b.Bytes(), nil
}

func main() {
	path := flag.String("file", "../../golden/vpa/recommender.json", "the file of vectors")
	check := flag.Bool("check", false, "compare instead of writing")
	flag.Parse()
	made, err := text()
	if err == nil && *check {
		var stored []byte
		if stored, err = os.ReadFile(*path); err == nil && !bytes.Equal(stored, made) {
			err = fmt.Errorf("%s differs from what the module says now", *path)
		}
	} else if err == nil {
		err = os.WriteFile(*path, made, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
