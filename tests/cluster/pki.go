package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// certificateLife of a rig's certificates; a rig lives for minutes.
const certificateLife = 7 * 24 * time.Hour

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// users of the static token file: the name of the token, the user, and its groups.
var users = []struct{ token, user, groups string }{
	{"admin", "rig-admin", "system:masters"},
	{"kube-controller-manager", "system:kube-controller-manager", ""},
	{"kube-scheduler", "system:kube-scheduler", ""},
	{"kwok", "rig-kwok", "rig:nodes"},
	{"load", "rig-load", "rig:nodes"},
	{"metrics-server", "rig-metrics-server", "rig:metrics-server"},
}

// writePKI makes all keys, certificates, tokens and kubeconfigs of a rig in its folder.
func (r *rig) writePKI() error {
	if err := os.MkdirAll(r.path("pki"), 0o700); err != nil {
		return err
	}
	ca, err := r.newAuthority("ca", "rig")
	if err != nil {
		return err
	}
	proxyCA, err := r.newAuthority("front-proxy-ca", "rig-front-proxy")
	if err != nil {
		return err
	}
	serviceNames := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	for _, service := range []string{"metrics-server", "metrics-adapter"} {
		serviceNames = append(serviceNames, service+".kube-system.svc")
	}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(10, 0, 0, 1)}
	server := x509.Certificate{
		Subject: pkix.Name{CommonName: "rig"}, DNSNames: serviceNames, IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	client := x509.Certificate{
		Subject:     pkix.Name{CommonName: "front-proxy-client"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if err := r.issue("server", ca, server); err != nil {
		return err
	}
	if err := r.issue("front-proxy-client", proxyCA, client); err != nil {
		return err
	}
	if err := r.newServiceAccountKey(); err != nil {
		return err
	}
	return r.writeTokens()
}

func (r *rig) newAuthority(name, common string) (authority, error) {
	template := x509.Certificate{
		Subject: pkix.Name{CommonName: common}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	certificate, err := r.sign(name, template, key, authority{key: key})
	return authority{certificate, key}, err
}

func (r *rig) issue(name string, by authority, template x509.Certificate) error {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, err = r.sign(name, template, key, by)
	return err
}

// sign writes NAME.crt and NAME.key; an authority without a certificate signs itself.
func (r *rig) sign(name string, template x509.Certificate, key *ecdsa.PrivateKey, by authority) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// A little back: the clock of whoever checks may be a second behind.
	template.NotBefore = time.Now().Add(-time.Minute)
	template.NotAfter = time.Now().Add(certificateLife)
	parent := by.certificate
	if parent == nil {
		parent = &template
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, by.key)
	if err != nil {
		return nil, err
	}
	if err := r.writePEM(name+".crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	if err := r.writeKey(name+".key", key); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (r *rig) newServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := r.writePEM("service-account.pub", "PUBLIC KEY", public); err != nil {
		return err
	}
	return r.writeKey("service-account.key", key)
}

func (r *rig) writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return r.writePEM(name, "EC PRIVATE KEY", der)
}

func (r *rig) writePEM(name, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(r.pki(name), text, 0o600)
}

// writeTokens writes the token file of the API server and a kubeconfig for each user.
func (r *rig) writeTokens() error {
	var lines strings.Builder
	for _, user := range users {
		secret := make([]byte, 16)
		if _, err := rand.Read(secret); err != nil {
			return err
		}
		token := hex.EncodeToString(secret)
		fmt.Fprintf(&lines, "%s,%s,%s,%q\n", token, user.user, user.user, user.groups)
		if err := os.WriteFile(r.pki(user.token+".token"), []byte(token), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(r.kubeconfig(user.token), []byte(r.kubeconfigText(token)), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(r.pki("tokens.csv"), []byte(lines.String()), 0o600)
}

func (r *rig) kubeconfigText(token string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: rig
clusters:
- name: rig
  cluster:
    server: %s
    certificate-authority: %s
contexts:
- name: rig
  context:
    cluster: rig
    user: rig
    namespace: default
users:
- name: rig
  user:
    token: %s
`, r.server(), r.pki("ca.crt"), token)
}

func (r *rig) pki(name string) string { return filepath.Join(r.Dir, "pki", name) }

// kubeconfig of a user; the admin's is where people look for it.
func (r *rig) kubeconfig(user string) string {
	if user == "admin" {
		return r.path("kubeconfig")
	}
	return r.pki(user + ".kubeconfig")
}
