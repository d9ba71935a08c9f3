// A program for tests with these subcommands: etcd, kube-apiserver, kube-scheduler, kube-controller-manager, two that
// create keys (for service account tokens and for kubelets), and `sweep`, which ends processes of an ended test run.
// Each subcommand ends when its standard input closes, so none outlives the process that started it.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		check(fmt.Errorf("usage: %s etcd|apiserver|scheduler|controller-manager|signing-key|client-pair|sweep [flags]", os.Args[0]))
	}
	command, args := os.Args[1], os.Args[2:]
	os.Args = append([]string{command}, args...)
	if command == "signing-key" {
		signingKey(args[0])
		return
	}
	if command == "client-pair" {
		clientPair(args[0])
		return
	}
	if command == "sweep" {
		sweep(args[0])
		return
	}
	go endWithInput()
	switch command {
	case "etcd":
		etcd(args)
	case "apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	default:
		check(fmt.Errorf("unknown subcommand %q", command))
	}
}

// endWithInput ends this process when its standard input closes, which happens however the starting process ends.
func endWithInput() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// etcd --dir <data> --socket <path> runs a cluster of one member without fsync. Clients connect to the Unix socket.
func etcd(args []string) {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	dir := flags.String("dir", "", "where its data is")
	socket := flags.String("socket", "", "path of the socket that it listens on")
	check(flags.Parse(args))

	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync = *dir, "error", true
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Path: *socket}}
	// No peer connects, so any free port will do.
	config.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	nowhere := []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = nowhere, nowhere
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	server, err := embed.StartEtcd(config)
	check(err)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
	case err := <-server.Err():
		check(err)
	}
	// A graceful end may wait for watchers forever.
	time.AfterFunc(2*time.Second, func() { os.Exit(0) })
	server.Close()
}

// sweep HOME reads lines `+<id>` and `-<id>` from standard input. When standard input closes, it kills the process groups
// that were added and not removed, and then removes the directory HOME.
func sweep(home string) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	groups := map[int]bool{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		id, err := strconv.Atoi(lines.Text()[1:])
		check(err)
		if lines.Text()[0] == '+' {
			groups[id] = true
		} else {
			delete(groups, id)
		}
	}
	for id := range groups {
		syscall.Kill(-id, syscall.SIGKILL)
	}
	// The killed processes may still write for some seconds on a busy machine.
	for limit := time.Now().Add(time.Minute); os.RemoveAll(home) != nil && time.Now().Before(limit); {
		time.Sleep(20 * time.Millisecond)
	}
}

func signingKey(file string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	der, err := x509.MarshalECPrivateKey(key)
	check(err)
	check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
}

// clientPair writes DIR/kubelet-client.crt and DIR/kubelet-client.key. The certificate is self-signed, so a kubelet that
// trusts it accepts only the API server that has the key.
func clientPair(dir string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "apiserver"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	check(err)
	der, err := x509.MarshalECPrivateKey(key)
	check(err)
	path := filepath.Join(dir, "kubelet-client")
	check(os.WriteFile(path+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600))
	check(os.WriteFile(path+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
