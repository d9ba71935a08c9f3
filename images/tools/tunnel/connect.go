package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

const connectWithin = 10 * time.Second

// connect returns a connection to the gateway on which both sides have shown who they are: this one by the key of a certificate
// whose fingerprint the gateway reads from standard output, and the gateway by the secret.
func connect(address string, number, secret []byte) (*tls.Conn, error) {
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	fmt.Printf("%x\n", sha256.Sum256(certificate.Certificate[0]))
	socket, err := net.DialTimeout("tcp", address, connectWithin)
	if err != nil {
		return nil, err
	}
	socket.SetDeadline(time.Now().Add(connectWithin))
	conn := tls.Server(socket, &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS13,
		// Small records for the first bytes only serve pages.
		DynamicRecordSizingDisabled: true,
		// A connection is never resumed.
		SessionTicketsDisabled: true,
	})
	if err := greet(socket, conn, number, secret); err != nil {
		socket.Close()
		return nil, err
	}
	return conn, socket.SetDeadline(time.Time{})
}

func greet(socket net.Conn, conn *tls.Conn, number, secret []byte) error {
	if _, err := socket.Write(number); err != nil {
		return err
	}
	shown := make([]byte, len(secret))
	if _, err := io.ReadFull(conn, shown); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(shown, secret) != 1 {
		return errors.New("the other side is not the gateway")
	}
	return nil
}

// newCertificate returns a certificate that is known by its fingerprint alone, so its names and dates do not matter.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(10, 0, 0)}
	bytes, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{bytes}, PrivateKey: key}, err
}
