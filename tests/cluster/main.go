// Command rig is a Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager
// and kube-scheduler as released, nodes and pods played by KWOK, usage played by a model, and
// metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io behind the aggregator. No
// container runs and no privilege is needed.
//
// One binary holds all: `rig up` starts a supervisor, which starts the same binary once per
// component, because several of them may be started only once in a process.
package main

import (
	"fmt"
	"os"
	"strings"
)

const usage = `usage: rig COMMAND

  up DIR [--port-base N] [--nodes N] [--wait-usage] [--foreground [--until-stdin-ends]]
                          start a control plane whose files are in DIR (made if it is not there), and print
                          "export KUBECONFIG=..." when it is ready; --foreground stays until a signal comes
  down DIR                end it
  status DIR              its components, one a line; exit code 1 where one does not run
  stop COMPONENT DIR      end one component at once (SIGKILL), as a crash would
  start COMPONENT DIR     start it again
  signal NAME COMPONENT DIR   send STOP, CONT, TERM or KILL to one component
  script DIR NAME FILE    give the load driver a script (FILE "-" is stdin); the same NAME replaces it
  script DIR NAME --remove
  apply DIR FILE          server-side apply of YAML documents (FILE "-" is stdin), for machines without kubectl
  version                 versions of what is inside

Components: ` + componentNames + `
Environment of "up": RIG_PORT_BASE, RIG_NODES, RIG_HPA_SYNC (5s), RIG_HPA_READINESS_DELAY (1s),
RIG_HPA_CPU_INIT (5s), RIG_HPA_DOWNSCALE (5m), RIG_APISERVER_ARGS, RIG_CONTROLLER_MANAGER_ARGS.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if name, isComponent := strings.CutPrefix(os.Args[1], "component-"); isComponent {
		runComponent(name, os.Args[2:])
		return
	}
	commands := map[string]func([]string) error{
		"up": up, "down": down, "status": status, "supervise": supervise,
		"stop": stop, "start": start, "signal": signalComponent,
		"script": placeScript, "apply": apply, "version": version,
	}
	command, known := commands[os.Args[1]]
	if !known {
		fmt.Fprintf(os.Stderr, "rig: there is no command %q\n%s", os.Args[1], usage)
		os.Exit(2)
	}
	if err := command(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "rig %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
