package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the components' own metrics of their clients
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

// componentNames in the order in which they start; they end in the reverse one.
const componentNames = "etcd kube-apiserver kube-controller-manager kube-scheduler load kwok metrics-server metrics-adapter"

func components() []string { return strings.Fields(componentNames) }

// runComponent is one component in this process, until a signal ends it.
func runComponent(name string, args []string) {
	// Every one of them reads its own arguments from os.Args or by cobra's default.
	os.Args = append([]string{name}, args...)
	var err error
	switch name {
	case "etcd":
		err = runEtcd(args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kwok":
		err = runKwok()
	case "metrics-server":
		err = metricsserver.NewMetricsServerCommand(genericapiserver.SetupSignalHandler()).Execute()
	case "load":
		err = runLoad(args)
	case "metrics-adapter":
		err = runAdapter(args)
	default:
		err = fmt.Errorf("there is no component %q; there are %s", name, componentNames)
	}
	if err != nil {
		slog.Error("component ended", "component", name, "error", err)
		os.Exit(1)
	}
}

// signalContext ends with SIGTERM or SIGINT.
func signalContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}

// runEtcd serves one member without fsync: what a crash of the machine would lose is a test's own.
func runEtcd(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("etcd takes DIR CLIENT_PORT PEER_PORT, got %d arguments", len(args))
	}
	config := embed.NewConfig()
	config.Name = "rig"
	config.Dir = args[0]
	config.UnsafeNoFsync = true
	config.LogLevel = "warn"
	client := []url.URL{{Scheme: "http", Host: "127.0.0.1:" + args[1]}}
	peer := []url.URL{{Scheme: "http", Host: "127.0.0.1:" + args[2]}}
	config.ListenClientUrls, config.AdvertiseClientUrls = client, client
	config.ListenPeerUrls, config.AdvertisePeerUrls = peer, peer
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	ctx, cancel := signalContext()
	defer cancel()
	select {
	case <-ctx.Done():
		server.Close()
		return nil
	case err := <-server.Err():
		return err
	}
}

// runKwok reads its stages with KWOK's own reader of settings, which looks at os.Args.
func runKwok() error {
	ctx, cancel := signalContext()
	defer cancel()
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	// Other components have put flags of the same names into the process's own set.
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	ctx, _ = kwoklog.InitFlags(ctx, flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	return command.ExecuteContext(ctx)
}
