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

// connect returns an authenticated connection to the gateway. The gateway knows this side by the fingerprint of its
// certificate, which it reads from standard output. This side knows the gateway by the secret.
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
		// Small first records only help pages of browsers.
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
	receivedSecret := make([]byte, len(secret))
	if _, err := io.ReadFull(conn, receivedSecret); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(receivedSecret, secret) != 1 {
		return errors.New("the other side is not the gateway")
	}
	return nil
}

// newCertificate returns a new key with a certificate. The gateway compares its fingerprint alone.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(10, 0, 0)}
	bytes, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{bytes}, PrivateKey: key}, err
}
