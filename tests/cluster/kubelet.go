package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"
)

// idleStream is the longest silence of an exec or a port-forward, as kubelets have it.
const idleStream = 4 * time.Hour

// kubelet serves `exec` and `portForward` of all nodes; what else is asked goes to the driver.
func (d *driver) kubelet() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", d.handler())
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", d.serveExec)
	mux.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", d.serveExec)
	mux.HandleFunc("/portForward/{namespace}/{pod}", d.serveForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", d.serveForward)
	return mux
}

// runningPod that a request names.
func (d *driver) runningPod(q *http.Request) (*core.Pod, error) {
	pod, err := d.pods.Pods(q.PathValue("namespace")).Get(q.PathValue("pod"))
	if err != nil {
		return nil, err
	}
	if pod.Status.Phase != core.PodRunning || pod.DeletionTimestamp != nil {
		return nil, fmt.Errorf("pod %s/%s does not run", pod.Namespace, pod.Name)
	}
	return pod, nil
}

func (d *driver) serveExec(w http.ResponseWriter, q *http.Request) {
	pod, err := d.runningPod(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	options, err := remotecommand.NewOptions(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, q, player{d, pod}, pod.Name, string(pod.UID), q.PathValue("container"), q.URL.Query()["command"],
		options, idleStream, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (d *driver) serveForward(w http.ResponseWriter, q *http.Request) {
	pod, err := d.runningPod(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	options, err := portforward.NewV4Options(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, q, player{d, pod}, pod.Name, string(pod.UID), options, idleStream,
		remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// player plays the container runtime of one pod.
type player struct {
	driver *driver
	pod    *core.Pod
}

// ExecInContainer records the command and plays its effect. Standard input is not read: a command
// outlives the stream that started it, as it does in a container.
func (p player) ExecInContainer(_ context.Context, _, _, container string, words []string, _ io.Reader, out, _ io.WriteCloser,
	_ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	say := func(line string) {
		if out != nil && line != "" {
			fmt.Fprintln(out, line)
		}
	}
	if code := p.driver.containers.run(p.pod.Namespace, p.pod.Name, container, words, say); code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
	}
	return nil
}

// PortForward answers HTTP requests itself, each when the pod would have had the CPU for it.
func (p player) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	container := p.listener(port)
	if container == "" {
		return fmt.Errorf("connection refused: no container of pod %s listens on port %d", p.pod.Name, port)
	}
	reader := bufio.NewReader(stream)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			// The other side has said all, or nothing that is HTTP.
			return nil
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return nil
		}
		if now, err := p.driver.pods.Pods(p.pod.Namespace).Get(p.pod.Name); err != nil || now.UID != p.pod.UID {
			return nil
		}
		code, body := http.StatusOK, p.pod.Name+"\n"
		takes, served := p.driver.containers.request(p.pod, container)
		if !served {
			code, body = http.StatusServiceUnavailable, "too many wait\n"
		}
		time.Sleep(takes)
		answer := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
			code, http.StatusText(code), len(body), body)
		if _, err := io.WriteString(stream, answer); err != nil || request.Close {
			return nil
		}
	}
}

// listener is the container that a port is of; the first one where no container names any port.
func (p player) listener(port int32) string {
	named := false
	for _, container := range p.pod.Spec.Containers {
		for _, one := range container.Ports {
			named = true
			if one.ContainerPort == port {
				return container.Name
			}
		}
	}
	if named {
		return ""
	}
	return p.pod.Spec.Containers[0].Name
}
