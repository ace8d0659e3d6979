package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	adminUser    = "admin"
	limitedUser  = "limited"
	clusterName  = "noren-test-kube"
	mastersGroup = "system:masters"
)

// credentials are the keys and tokens of one server, made anew at each start.
type credentials struct {
	dir               string
	servingCert       string // path; self-signed, so it is also the CA
	servingKey        string // path
	serviceAccountKey string // path
	tokenFile         string // path
	tokens            map[string]string
}

// newCredentials makes the keys and tokens of a server and writes them to dir.
func newCredentials(dir string) (*credentials, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the work directory: %w", err)
	}
	c := &credentials{
		dir:               dir,
		servingCert:       filepath.Join(dir, "serving.crt"),
		servingKey:        filepath.Join(dir, "serving.key"),
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
		tokenFile:         filepath.Join(dir, "tokens.csv"),
		tokens:            map[string]string{adminUser: rand.Text(), limitedUser: rand.Text()},
	}
	for _, write := range []func() error{c.writeServingCert, c.writeServiceAccountKey, c.writeTokens} {
		if err := write(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *credentials) writeServingCert() error {
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, []string{"localhost"})
	if err != nil {
		return fmt.Errorf("make the serving certificate: %w", err)
	}
	if err := os.WriteFile(c.servingCert, certPEM, 0o600); err != nil {
		return err
	}
	return os.WriteFile(c.servingKey, keyPEM, 0o600)
}

func (c *credentials) writeServiceAccountKey() error {
	keyPEM, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return fmt.Errorf("make the service account key: %w", err)
	}
	return os.WriteFile(c.serviceAccountKey, keyPEM, 0o600)
}

// writeTokens writes the static token file: token, user, uid, groups.
func (c *credentials) writeTokens() error {
	var lines strings.Builder
	fmt.Fprintf(&lines, "%s,%s,%s,%s\n", c.tokens[adminUser], adminUser, adminUser, mastersGroup)
	fmt.Fprintf(&lines, "%s,%s,%s\n", c.tokens[limitedUser], limitedUser, limitedUser)
	return os.WriteFile(c.tokenFile, []byte(lines.String()), 0o600)
}

// writeKubeconfig writes a kubeconfig for the server at url, with a context
// for each user, and returns its path.
func (c *credentials) writeKubeconfig(url string) (string, error) {
	ca, err := os.ReadFile(c.servingCert)
	if err != nil {
		return "", err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[clusterName] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: ca}
	for user, token := range c.tokens {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
		config.Contexts[user] = &clientcmdapi.Context{Cluster: clusterName, AuthInfo: user}
	}
	config.CurrentContext = adminUser
	path := filepath.Join(c.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("write the kubeconfig: %w", err)
	}
	return path, nil
}
