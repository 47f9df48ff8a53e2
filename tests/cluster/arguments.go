package main

import (
	"fmt"
	"os"
	"strings"
)

// serviceRange of the cluster: its first address is the API server's, which cannot be a loopback one.
const serviceRange = "10.0.0.0/16"

// arguments of a component's command line.
func (r *rig) arguments(name string) []string {
	switch name {
	case "etcd":
		return []string{r.path("etcd"), r.port(portEtcd), r.port(portEtcdPeer)}
	case "kube-apiserver":
		return r.apiserverArguments()
	case "kube-controller-manager":
		return r.controllerManagerArguments()
	case "kube-scheduler":
		return append(r.client("kube-scheduler"), "--leader-elect=false",
			"--bind-address=127.0.0.1", "--secure-port="+r.port(portScheduler),
			"--tls-cert-file="+r.pki("server.crt"), "--tls-private-key-file="+r.pki("server.key"))
	case "kwok":
		return []string{
			"--kubeconfig=" + r.kubeconfig("kwok"), "--config=" + r.path("stages.yaml"),
			"--manage-all-nodes=true", "--node-ip=127.0.0.1", "--cidr=10.128.0.0/16",
			"--node-lease-duration-seconds=40", "--v=WARN",
		}
	case "metrics-server":
		return append(r.client("metrics-server"), "--bind-address=127.0.0.1", "--secure-port="+r.port(portMetricsServer),
			"--tls-cert-file="+r.pki("server.crt"), "--tls-private-key-file="+r.pki("server.key"),
			"--metric-resolution=10s", "--kubelet-request-timeout=5s", "--kubelet-certificate-authority="+r.pki("ca.crt"),
			"--kubelet-use-node-status-port", "--kubelet-preferred-address-types=InternalIP")
	default:
		return []string{r.Dir}
	}
}

// client flags of a component that also asks the API server who calls it.
func (r *rig) client(user string) []string {
	kubeconfig := r.kubeconfig(user)
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
	}
}

func (r *rig) apiserverArguments() []string {
	arguments := []string{
		"--etcd-servers=http://" + r.address(portEtcd),
		"--bind-address=127.0.0.1", "--secure-port=" + r.port(portAPI),
		// A loopback address is refused here, so nobody keeps the endpoints of the service.
		"--advertise-address=10.0.0.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceRange,
		"--tls-cert-file=" + r.pki("server.crt"), "--tls-private-key-file=" + r.pki("server.key"),
		"--client-ca-file=" + r.pki("ca.crt"), "--token-auth-file=" + r.pki("tokens.csv"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + r.pki("service-account.pub"),
		"--service-account-signing-key-file=" + r.pki("service-account.key"),
		"--requestheader-client-ca-file=" + r.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + r.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + r.pki("front-proxy-client.key"),
		"--audit-policy-file=" + r.path("audit-policy.yaml"), "--audit-log-path=" + r.path("audit.log"),
		"--shutdown-delay-duration=0s",
		// Nodes have names that nobody resolves.
		"--kubelet-preferred-address-types=InternalIP",
	}
	return append(arguments, strings.Fields(os.Getenv("RIG_APISERVER_ARGS"))...)
}

func (r *rig) controllerManagerArguments() []string {
	arguments := append(r.client("kube-controller-manager"), "--leader-elect=false",
		"--bind-address=127.0.0.1", "--secure-port="+r.port(portControllerManager),
		"--tls-cert-file="+r.pki("server.crt"), "--tls-private-key-file="+r.pki("server.key"),
		"--root-ca-file="+r.pki("ca.crt"), "--service-account-private-key-file="+r.pki("service-account.key"),
		// Each controller writes under its own name: the audit log tells the HPA from the rest.
		"--use-service-account-credentials=true",
		"--horizontal-pod-autoscaler-sync-period="+setting("RIG_HPA_SYNC", "5s"),
		"--horizontal-pod-autoscaler-initial-readiness-delay="+setting("RIG_HPA_READINESS_DELAY", "1s"),
		"--horizontal-pod-autoscaler-cpu-initialization-period="+setting("RIG_HPA_CPU_INIT", "5s"),
		"--horizontal-pod-autoscaler-downscale-stabilization="+setting("RIG_HPA_DOWNSCALE", "5m"))
	return append(arguments, strings.Fields(os.Getenv("RIG_CONTROLLER_MANAGER_ARGS"))...)
}

// oneDirectory is the only argument, an existing rig's folder.
func oneDirectory(arguments []string) (*rig, error) {
	if len(arguments) != 1 || strings.HasPrefix(arguments[0], "-") {
		return nil, fmt.Errorf("takes one argument, the rig's folder")
	}
	return openRig(arguments[0])
}
