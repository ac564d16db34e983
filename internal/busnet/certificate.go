package busnet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/durable"
)

// The self-signed certificate's files.
const (
	certificateFile = "tls-cert.pem"
	keyFile         = "tls-key.pem"
)

const (
	lifetime = 10 * 365 * 24 * time.Hour
	// renewal is how long before its end a certificate is made anew.
	renewal = 30 * 24 * time.Hour
)

// CertificateFile is where [Certificate] keeps the certificate, without its
// key: the file that clients are told to trust.
func CertificateFile(dir string) string { return filepath.Join(dir, certificateFile) }

// Certificate loads the self-signed certificate in dir, or makes one: for
// localhost, 127.0.0.1, ::1 and hosts, and for each of them with the port, too.
// That is what the Service Bus SDK for Go compares it with, which has the port
// in the name it opens. A client that trusts this very certificate needs
// nothing else; it can sign no other.
//
// It stays the same until its names or the port change or it has less than 30
// days of its 10 years left. log, nil for none, is told when it was made and
// where it is. Whoever calls holds the directory.
func Certificate(dir string, hosts []string, port int, log *slog.Logger) (tls.Certificate, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	want := namesOf(hosts, port)
	cert, err := loadCertificate(dir)
	if err == nil {
		reason := outdated(cert.Leaf, want)
		if reason == "" {
			return cert, nil
		}
		err = errors.New(reason)
	}
	made, failed := makeCertificate(dir, want)
	if failed != nil {
		return tls.Certificate{}, fmt.Errorf("make the self-signed certificate: %w", failed)
	}
	if errors.Is(err, fs.ErrNotExist) {
		log.Info("made a self-signed certificate", "file", CertificateFile(dir))
	} else {
		log.Warn("made a new self-signed certificate: clients must be told to trust this one", "file", CertificateFile(dir), "reason", err)
	}
	return made, nil
}

// names are what a certificate is for.
type names struct {
	dns []string
	ips []netip.Addr
}

// namesOf sorts hosts and their forms with a port. What has a port is a DNS name
// in a certificate, of whatever kind the host is.
func namesOf(hosts []string, port int) (n names) {
	for _, host := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
		if ip, err := netip.ParseAddr(host); err == nil {
			n.ips = append(n.ips, ip.Unmap())
		} else {
			host = strings.ToLower(host)
			n.dns = append(n.dns, host)
		}
		n.dns = append(n.dns, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	slices.Sort(n.dns)
	slices.SortFunc(n.ips, netip.Addr.Compare)
	return names{slices.Compact(n.dns), slices.Compact(n.ips)}
}

// outdated says why a certificate is not good any more, "" if it is.
func outdated(leaf *x509.Certificate, want names) string {
	have := names{dns: slices.Clone(leaf.DNSNames)}
	for _, ip := range leaf.IPAddresses {
		addr, _ := netip.AddrFromSlice(ip)
		have.ips = append(have.ips, addr.Unmap())
	}
	slices.Sort(have.dns)
	slices.SortFunc(have.ips, netip.Addr.Compare)
	switch {
	case !slices.Equal(have.dns, want.dns) || !slices.Equal(have.ips, want.ips):
		return "the last one was for other names or another port"
	case time.Until(leaf.NotAfter) < renewal:
		return "the last one ends on " + leaf.NotAfter.Format(time.DateOnly)
	}
	return ""
}

func loadCertificate(dir string) (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(CertificateFile(dir), filepath.Join(dir, keyFile))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the last one cannot be used: %w", err)
	}
	return cert, nil
}

// makeCertificate writes the key first: without its certificate it is not used,
// and a certificate with another key is made anew.
func makeCertificate(dir string, n names) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template, err := n.template()
	if err != nil {
		return tls.Certificate{}, err
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := writePEM(filepath.Join(dir, keyFile), "PRIVATE KEY", keyDER); err != nil {
		return tls.Certificate{}, err
	}
	if err := writePEM(CertificateFile(dir), "CERTIFICATE", certDER); err != nil {
		return tls.Certificate{}, err
	}
	return loadCertificate(dir)
}

// template is a server's certificate that cannot sign others. It began an hour
// ago, because the clients' clocks may be behind.
func (n names) template() (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Bellhop bus"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(lifetime),
		DNSNames:     n.dns,

		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, // and no CA
	}
	for _, ip := range n.ips {
		c.IPAddresses = append(c.IPAddresses, ip.AsSlice())
	}
	return c, nil
}

func writePEM(path, kind string, der []byte) error {
	return durable.Replace(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
