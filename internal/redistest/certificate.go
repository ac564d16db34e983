package redistest

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
	"os"
	"path/filepath"
	"time"
)

// certificate is a server's for 127.0.0.1 and localhost, with an authority made
// for it alone; all of them are PEM files.
type certificate struct {
	caFile, certFile, keyFile string
	client                    *tls.Config // trusts the authority and nobody else
}

// newCertificate writes ca.crt, server.crt and server.key to dir, valid from a
// day ago until a day ahead.
func newCertificate(dir string) (*certificate, error) {
	ca := template("redistest authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, caKey, err := sign(ca, ca, nil)
	if err != nil {
		return nil, err
	}
	server := template("redistest server")
	server.IPAddresses, server.DNSNames = []net.IP{net.ParseIP(host)}, []string{"localhost"}
	server.KeyUsage, server.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, key, err := sign(server, ca, caKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	c := &certificate{
		caFile: filepath.Join(dir, "ca.crt"), certFile: filepath.Join(dir, "server.crt"), keyFile: filepath.Join(dir, "server.key"),
		client: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12},
	}
	if c.client.RootCAs, err = pool(caDER); err != nil {
		return nil, err
	}
	for _, file := range []struct {
		name, kind string
		der        []byte
	}{{c.caFile, "CERTIFICATE", caDER}, {c.certFile, "CERTIFICATE", der}, {c.keyFile, "PRIVATE KEY", keyDER}} {
		text := pem.EncodeToMemory(&pem.Block{Type: file.kind, Bytes: file.der})
		if err := os.WriteFile(file.name, text, 0o600); err != nil {
			return nil, fmt.Errorf("write certificate: %w", err)
		}
	}
	return c, nil
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
	}
}

// sign makes a key and its certificate. Without a parent's key it signs itself.
func sign(c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate: %w", err)
	}
	return der, key, nil
}

func pool(der []byte) (*x509.CertPool, error) {
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	p := x509.NewCertPool()
	p.AddCert(ca)
	return p, nil
}
