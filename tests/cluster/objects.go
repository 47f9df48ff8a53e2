package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// manifest with the rig's own values in it.
func (r *rig) manifest(name string) (string, error) {
	text, err := manifests.ReadFile("manifests/" + name)
	if err != nil {
		return "", err
	}
	ca, err := os.ReadFile(r.pki("ca.crt"))
	if err != nil {
		return "", err
	}
	return strings.NewReplacer(
		"RIG_KUBELET_PORT", r.port(portKubelet),
		"RIG_METRICS_SERVER_PORT", r.port(portMetricsServer),
		"RIG_ADAPTER_PORT", r.port(portAdapter),
		"RIG_CA_BUNDLE", base64Text(ca),
	).Replace(string(text)), nil
}

// writeSettings writes the files that components read as they start.
func (r *rig) writeSettings() error {
	for _, name := range []string{"stages.yaml", "audit-policy.yaml"} {
		text, err := r.manifest(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// config of a client that is a user of the rig.
func (r *rig) config(user string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", r.kubeconfig(user))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 500, 1000
	return config, nil
}

// ready asks the API server whether it serves.
func (r *rig) ready() error {
	config, err := r.config("admin")
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	return client.RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error()
}

// applyBase makes the roles, the APIs behind the aggregator, and the nodes.
func (r *rig) applyBase(ctx context.Context) error {
	text, err := r.manifest("base.yaml")
	if err != nil {
		return err
	}
	node, err := r.manifest("node.yaml")
	if err != nil {
		return err
	}
	for i := range r.Nodes {
		text += "\n---\n" + strings.NewReplacer(
			"RIG_NODE_NAME", fmt.Sprintf("rig-node-%02d", i+1),
			"RIG_ZONE", string(rune('a'+i%3)),
		).Replace(node)
	}
	return r.applyDocuments(ctx, text)
}

// applyDocuments applies each document of a YAML text as the field manager "rig".
func (r *rig) applyDocuments(ctx context.Context, text string) error {
	config, err := r.config("admin")
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	mapper, err := newMapper(config)
	if err != nil {
		return err
	}
	for number, document := range strings.Split(text, "\n---") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return fmt.Errorf("document %d: %w", number+1, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := applyObject(ctx, client, mapper, object); err != nil {
			return fmt.Errorf("document %d, %s %s: %w", number+1, object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// newMapper knows what the API server serves; an API behind the aggregator that is down is no error.
func newMapper(config *rest.Config) (meta.RESTMapper, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil && len(groups) == 0 {
		return nil, err
	}
	return restmapper.NewDiscoveryRESTMapper(groups), nil
}

func applyObject(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	resource := client.Resource(mapping.Resource)
	var place dynamic.ResourceInterface = resource
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := object.GetNamespace()
		if namespace == "" {
			namespace = "default"
		}
		place = resource.Namespace(namespace)
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldManager: "rig", Force: ptr(true)}
	_, err = place.Patch(ctx, object.GetName(), types.ApplyPatchType, bytes.TrimSpace(data), options)
	return err
}

func ptr[T any](value T) *T { return &value }

// complete is an error until pods can be made, all nodes are ready and all APIs are there.
func (r *rig) complete(ctx context.Context, usage bool) error {
	config, err := r.config("admin")
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	account := schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	if _, err := client.Resource(account).Namespace("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	nodes := schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	if err := allTrue(ctx, client, nodes, "Ready"); err != nil {
		return err
	}
	apis := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	if err := allTrue(ctx, client, apis, "Available"); err != nil || !usage {
		return err
	}
	samples := schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "nodes"}
	list, err := client.Resource(samples).List(ctx, metav1.ListOptions{})
	if err == nil && len(list.Items) < r.Nodes {
		err = fmt.Errorf("usage of %d of %d nodes", len(list.Items), r.Nodes)
	}
	return err
}

// allTrue is an error where an object lacks a condition that is true; a tainted node takes no pods yet.
func allTrue(ctx context.Context, client dynamic.Interface, kind schema.GroupVersionResource, condition string) error {
	list, err := client.Resource(kind).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(list.Items) == 0 {
		return errors.New("no " + kind.Resource)
	}
	for _, object := range list.Items {
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
		good := false
		for _, entry := range conditions {
			fields, _ := entry.(map[string]any)
			good = good || fields["type"] == condition && fields["status"] == "True"
		}
		if taints, _, _ := unstructured.NestedSlice(object.Object, "spec", "taints"); !good || len(taints) > 0 {
			return fmt.Errorf("%s %s is not %s", kind.Resource, object.GetName(), condition)
		}
	}
	return nil
}
