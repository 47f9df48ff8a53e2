package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/logic"
)

// Settings are the recommender's flags, by the names of the proposer's knobs; what a container may have is [millicores, bytes], 0 = free.
type Settings struct {
	RecommendationMarginFraction             float64  `json:"recommendationMarginFraction"`
	PodRecommendationMinCPUMillicores        float64  `json:"podRecommendationMinCpuMillicores"`
	PodRecommendationMinMemoryMb             float64  `json:"podRecommendationMinMemoryMb"`
	TargetCPUPercentile                      float64  `json:"targetCpuPercentile"`
	RecommendationLowerBoundCPUPercentile    float64  `json:"recommendationLowerBoundCpuPercentile"`
	RecommendationUpperBoundCPUPercentile    float64  `json:"recommendationUpperBoundCpuPercentile"`
	ConfidenceIntervalCPUSeconds             float64  `json:"confidenceIntervalCpuSeconds"`
	TargetMemoryPercentile                   float64  `json:"targetMemoryPercentile"`
	RecommendationLowerBoundMemoryPercentile float64  `json:"recommendationLowerBoundMemoryPercentile"`
	RecommendationUpperBoundMemoryPercentile float64  `json:"recommendationUpperBoundMemoryPercentile"`
	ConfidenceIntervalMemorySeconds          float64  `json:"confidenceIntervalMemorySeconds"`
	RoundCPUMillicores                       int      `json:"roundCpuMillicores"`
	RoundMemoryBytes                         int      `json:"roundMemoryBytes"`
	MemoryAggregationIntervalSeconds         float64  `json:"memoryAggregationIntervalSeconds"`
	MemoryAggregationIntervalCount           int64    `json:"memoryAggregationIntervalCount"`
	MemoryHistogramDecayHalfLifeSeconds      float64  `json:"memoryHistogramDecayHalfLifeSeconds"`
	CPUHistogramDecayHalfLifeSeconds         float64  `json:"cpuHistogramDecayHalfLifeSeconds"`
	OOMBumpUpRatio                           float64  `json:"oomBumpUpRatio"`
	OOMMinBumpUpBytes                        float64  `json:"oomMinBumpUpBytes"`
	Containers                               int      `json:"containers"`
	MinAllowed                               [2]int64 `json:"minAllowed"`
	MaxAllowed                               [2]int64 `json:"maxAllowed"`
}

// defaults are those of the flags.
func defaults() Settings {
	return Settings{
		RecommendationMarginFraction: 0.15, PodRecommendationMinCPUMillicores: 25, PodRecommendationMinMemoryMb: 250,
		TargetCPUPercentile: 0.9, RecommendationLowerBoundCPUPercentile: 0.5, RecommendationUpperBoundCPUPercentile: 0.95,
		ConfidenceIntervalCPUSeconds: 86400,
		TargetMemoryPercentile:       0.9, RecommendationLowerBoundMemoryPercentile: 0.5, RecommendationUpperBoundMemoryPercentile: 0.95,
		ConfidenceIntervalMemorySeconds: 86400, RoundCPUMillicores: 1, RoundMemoryBytes: 1,
		MemoryAggregationIntervalSeconds: 86400, MemoryAggregationIntervalCount: 8,
		MemoryHistogramDecayHalfLifeSeconds: 86400, CPUHistogramDecayHalfLifeSeconds: 86400,
		OOMBumpUpRatio: 1.2, OOMMinBumpUpBytes: 100 * 1024 * 1024, Containers: 1,
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * 1e9) }

func (s Settings) interval() time.Duration { return seconds(s.MemoryAggregationIntervalSeconds) }

func (s Settings) config() logic.RecommendationConfig {
	return logic.RecommendationConfig{
		SafetyMarginFraction: s.RecommendationMarginFraction, PodMinCPUMillicores: s.PodRecommendationMinCPUMillicores,
		PodMinMemoryMb: s.PodRecommendationMinMemoryMb, TargetCPUPercentile: s.TargetCPUPercentile,
		LowerBoundCPUPercentile: s.RecommendationLowerBoundCPUPercentile, UpperBoundCPUPercentile: s.RecommendationUpperBoundCPUPercentile,
		ConfidenceIntervalCPU: seconds(s.ConfidenceIntervalCPUSeconds), TargetMemoryPercentile: s.TargetMemoryPercentile,
		LowerBoundMemoryPercentile: s.RecommendationLowerBoundMemoryPercentile,
		UpperBoundMemoryPercentile: s.RecommendationUpperBoundMemoryPercentile,
		ConfidenceIntervalMemory:   seconds(s.ConfidenceIntervalMemorySeconds),
	}
}

func (s Settings) format() logic.RecommendationFormat {
	return logic.RecommendationFormat{RoundCPUMillicores: s.RoundCPUMillicores, RoundMemoryBytes: s.RoundMemoryBytes}
}

// Plan is a sequence before it was run: a recommendation is asked for after every so many events.
type Plan struct {
	Name     string
	Settings Settings
	Groups   []int
	Every    int
	Events   []Event
}

// maker draws a plan.
type maker struct {
	*rand.Rand
	Plan
}

func (m *maker) add(kind, pod int, at time.Duration, value float64) {
	m.Events = append(m.Events, Event{int64(kind), int64(pod), at.Milliseconds(), int64(value)})
}

// usage is a skewed amount around the middle.
func (m *maker) usage(middle, spread float64) float64 {
	return middle * math.Exp(spread*m.NormFloat64())
}

// both adds a sample of each resource.
func (m *maker) both(pod int, at time.Duration, cpu, memory float64) {
	m.add(cpuSample, pod, at, cpu)
	m.add(memorySample, pod, at, memory)
}

// vary turns some of the flags away from their defaults.
func (m *maker) vary() {
	pick := func(of ...float64) float64 { return of[m.IntN(len(of))] }
	s := &m.Settings
	s.RecommendationMarginFraction = pick(0, 0.15, 0.3333)
	s.PodRecommendationMinCPUMillicores = pick(1, 25, 333)
	s.PodRecommendationMinMemoryMb = pick(1, 250, 700.5)
	s.TargetCPUPercentile = pick(0.5, 0.9, 0.99, 1)
	s.TargetMemoryPercentile = pick(0.5, 0.9, 1)
	s.RecommendationLowerBoundCPUPercentile = pick(0, 0.3, 0.5)
	s.RecommendationUpperBoundMemoryPercentile = pick(0.95, 1)
	s.ConfidenceIntervalCPUSeconds = pick(3600, 86400)
	s.ConfidenceIntervalMemorySeconds = pick(3600, 86400, 604800)
	s.RoundCPUMillicores = int(pick(1, 10, 50))
	s.RoundMemoryBytes = int(pick(1, 4096, 1<<20))
	s.MemoryAggregationIntervalSeconds = pick(3600, 21600, 86400)
	s.MemoryHistogramDecayHalfLifeSeconds = pick(7200, 86400)
	s.CPUHistogramDecayHalfLifeSeconds = pick(3600, 86400)
	s.OOMBumpUpRatio = pick(1, 1.2, 2)
	s.OOMMinBumpUpBytes = pick(0, 100*1024*1024)
	s.Containers = 1 + m.IntN(3)
	if m.IntN(2) == 0 {
		s.MinAllowed = [2]int64{int64(pick(0, 50, 400)), int64(pick(0, 300<<20))}
		s.MaxAllowed = [2]int64{int64(pick(0, 700, 2000)), int64(pick(0, 500<<20, 2<<30))}
	}
}

// steady: a pod that is measured every minute for hours.
func steady(m *maker) {
	cpu, memory := m.usage(300, 1), m.usage(400e6, 0.7)
	for i := range 120 {
		m.both(0, time.Duration(i)*time.Minute, m.usage(cpu, 0.4), m.usage(memory, 0.2))
	}
}

// crowd: several pods, measured at the same times, so that weights are equal and sums of them lie on the edge of a percentile.
func crowd(m *maker) {
	m.Groups = make([]int, 2+m.IntN(9))
	for i := range 130 / len(m.Groups) {
		at := time.Duration(i) * time.Hour
		for pod := range m.Groups {
			m.both(pod, at, float64(10+10*m.IntN(12)), 5e7*float64(1+m.IntN(12)))
		}
	}
}

// disorder: late, repeated, negative and future samples.
func disorder(m *maker) {
	m.Groups = []int{0, 0}
	for i := range 120 {
		at := time.Duration(i) * 7 * time.Minute
		cpu, memory := m.usage(120, 0.8), m.usage(3e8, 0.6)
		switch m.IntN(6) {
		case 0:
			at -= time.Duration(m.IntN(400)) * time.Minute
		case 1:
			at += time.Duration(m.IntN(30)) * time.Minute
		case 2:
			cpu, memory = -1-cpu, -1-memory
		case 3:
			m.both(i%2, at, cpu, memory)
		case 4:
			at += time.Duration(m.IntN(1000)) * time.Millisecond
		}
		m.both(i%2, at, cpu, memory)
	}
}

// killed: containers that are killed for memory, some of it reported late.
func killed(m *maker) {
	m.Groups = []int{0, 0}
	request := 2e8
	for i := range 130 {
		at := time.Duration(i) * 40 * time.Minute
		pod := m.IntN(2)
		m.both(pod, at, m.usage(80, 0.3), m.usage(request*0.7, 0.2))
		if m.IntN(7) == 0 {
			late := time.Duration(0)
			if m.IntN(3) == 0 {
				late = time.Duration(m.IntN(50)) * time.Hour
			}
			m.add(memoryKill, pod, at-late, request*float64(m.IntN(3)))
			request = m.usage(request*1.1, 0.1)
		}
	}
}

// weeks: months of samples, so that old ones decay to nothing and the time of reference moves.
func weeks(m *maker) {
	m.Groups = []int{0, 0, 0}
	m.Every = 31
	at := time.Duration(0)
	cpu, memory := 900.0, 4e9
	for i := range 120 {
		at += time.Duration(m.IntN(3*86400)) * time.Second
		cpu *= math.Exp(0.2 * m.NormFloat64())
		memory *= math.Exp(0.1 * m.NormFloat64())
		m.both(i%3, at, math.Min(m.usage(cpu, 0.2), 2e6), math.Min(m.usage(memory, 0.2), 3e12))
	}
}

// restarts: checkpoints in the middle of an interval and after it.
func restarts(m *maker) {
	m.Groups = []int{0, 0}
	for i := range 120 {
		at := time.Duration(i) * 97 * time.Minute
		m.both(i%2, at, m.usage(250, 0.9), m.usage(6e8, 0.5))
		switch {
		case i%37 == 36:
			late := time.Duration(m.IntN(30)) * time.Hour
			m.add(restart, 0, at+late, 0)
		case i%23 == 22:
			m.add(memoryKill, i%2, at, 5e8)
		}
	}
}

// revisions: two groups of pods with other labels, the second of which begins later, with clean-ups.
func revisions(m *maker) {
	m.Groups = []int{0, 0, 1}
	lead := time.Duration(1+m.IntN(200)) * 24 * time.Hour
	for i := range 60 {
		m.both(i%2, time.Duration(i)*time.Hour, m.usage(500, 0.3), m.usage(9e8, 0.2))
	}
	for i := range 40 {
		at := lead + time.Duration(i)*time.Hour
		m.both(2, at, m.usage(50, 0.3), m.usage(2e8, 0.2))
		if i%13 == 5 {
			m.add(cleanUp, 0, at, 0)
		}
		if i == 30 {
			m.both(0, at, 700, 1e9)
		}
	}
	m.add(cleanUp, 0, lead+240*time.Hour, 0)
	m.both(1, lead+241*time.Hour, 90, 4e8)
}

// edges: values that lie on the edges of buckets, below the first and above the last.
func edges(m *maker) {
	cpu := []float64{0, 1, 9, 10, 11, 20, 21, 31, 32, 999999, 1000000, 1000001, 5e6, 1e14}
	memory := []float64{0, 1, 1e7 - 1, 1e7, 1e7 + 1, 20499999, 20500000, 31525000, 43101250, 1e12 - 1, 1e12, 5e12, 1e14}
	for i := range 120 {
		at := time.Duration(i) * 11 * time.Hour
		m.both(0, at, cpu[m.IntN(len(cpu))], memory[m.IntN(len(memory))])
		if i%29 == 28 {
			m.add(memoryKill, 0, at, memory[m.IntN(len(memory))])
		}
	}
}

// plans are all sequences: each kind with the defaults and with other flags.
func plans() []Plan {
	kinds := []struct {
		name string
		make func(*maker)
	}{
		{"steady", steady}, {"crowd", crowd}, {"disorder", disorder}, {"killed", killed},
		{"weeks", weeks}, {"restarts", restarts}, {"revisions", revisions}, {"edges", edges},
	}
	var all []Plan
	for i, kind := range kinds {
		for seed := range 8 {
			m := &maker{Rand: rand.New(rand.NewPCG(uint64(i), uint64(seed)))}
			m.Plan = Plan{Name: fmt.Sprintf("%s-%d", kind.name, seed), Settings: defaults(), Groups: []int{0}, Every: 23}
			if seed >= 4 {
				m.vary()
			}
			kind.make(m)
			all = append(all, m.Plan)
		}
	}
	return all
}
