// Package localca makes certificates for servers that a program starts for
// itself, on this machine and for a moment. Nothing else is to trust them.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// life is longer than any such server's.
const life = 24 * time.Hour

// An Authority vouches for servers, by whatever name they are asked for. Its key
// is never written down. It is safe for concurrent use once servers use it.
type Authority struct {
	// PEM is its own certificate, for those who are to trust it.
	PEM []byte
	// Addresses are those by which servers are asked for without a name.
	Addresses []net.IP

	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	mu     sync.Mutex
	issued map[string]*tls.Certificate
}

// New makes an authority.
func New(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("local certificate: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "noren, for a moment"}, NotBefore: now.Add(-life),
		NotAfter: now.Add(life), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("local certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("local certificate: %w", err)
	}
	return &Authority{PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), key: key, cert: cert, issued: map[string]*tls.Certificate{}}, nil
}

// Certificate makes one for the name that is asked for; it is for
// [tls.Config.GetCertificate].
func (a *Authority) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.issued[hello.ServerName]; c != nil {
		return c, nil
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(a.issued)) + 2), Subject: a.cert.Subject,
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if hello.ServerName != "" {
		template.DNSNames = []string{hello.ServerName}
	} else {
		template.IPAddresses = a.Addresses
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("local certificate for %q: %w", hello.ServerName, err)
	}
	c := &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: a.key}
	a.issued[hello.ServerName] = c
	return c, nil
}
