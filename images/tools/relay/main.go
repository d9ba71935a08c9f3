// Connects the sockets of a run with a client outside, over its standard streams: `relay dial <path>` connects, and `relay tcp
// <port>`, `relay unix <path>` and `relay agent` listen. It has the rights of the run, and ends with its standard input.
package main

import (
	"errors"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tools/shared"
	"tools/streams"
)

const mostStreams = 128

func main() {
	words := append(os.Args[1:], "", "")
	// Without this, a write to a closed standard output would end the program before it removes its sockets.
	signal.Ignore(syscall.SIGPIPE)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	relay, err := open(words[0], words[1])
	if err != nil {
		relay.close()
		shared.Fail(1, err.Error())
	}
	code := 1
	select {
	case <-stop:
	case err := <-relay.streams.Serve(os.Stdin):
		if err == nil {
			code = 0
		}
	}
	relay.close()
	os.Exit(code)
}

// relay is what the program removes at its end.
type relay struct {
	streams   *streams.Multiplexer
	listener  net.Listener
	directory string
}

func open(kind, where string) (*relay, error) {
	r := &relay{streams: streams.New(os.Stdout, mostStreams, nil)}
	switch kind {
	case "dial":
		return r, r.dial(where)
	case "tcp":
		port, err := strconv.ParseUint(where, 10, 16)
		if err != nil {
			return r, err
		}
		return r, r.listen("tcp", net.JoinHostPort("127.0.0.1", strconv.FormatUint(port, 10)))
	case "unix":
		return r, r.listen("unix", where)
	case "agent":
		directory, err := os.MkdirTemp("/tmp", "ssh-")
		if err != nil {
			return r, err
		}
		r.directory = directory
		return r, r.listen("unix", filepath.Join(directory, "agent"))
	}
	return r, errors.New("usage: relay tcp <port> | unix <path> | agent | dial <path>")
}

func (r *relay) dial(path string) error {
	conn, err := net.Dial("unix", filePath(path))
	if err != nil {
		return err
	}
	r.streams.Hello("")
	r.streams.Open(conn.(streams.Socket))
	return nil
}

func (r *relay) listen(network, place string) error {
	if network == "unix" {
		place = filePath(place)
	}
	// Only the run's user may use a socket, as with OpenSSH's StreamLocalBindMask.
	syscall.Umask(0o177)
	listener, err := net.Listen(network, place)
	if err != nil {
		return err
	}
	r.listener = listener
	r.streams.Hello(formatAddress(listener.Addr()))
	go r.accept()
	return nil
}

func (r *relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// The process has no file descriptors left. They become free again.
			time.Sleep(100 * time.Millisecond)
			continue
		}
		r.streams.Open(conn.(streams.Socket))
	}
}

// close removes the sockets. Closing the listener unlinks its path.
func (r *relay) close() {
	if r.listener != nil {
		r.listener.Close()
	}
	if r.directory != "" {
		os.RemoveAll(r.directory)
	}
}

// filePath keeps Go from taking a name that begins with `@` as one in the abstract namespace (unix(7)).
func filePath(path string) string {
	if strings.HasPrefix(path, "@") {
		return "./" + path
	}
	return path
}

func formatAddress(address net.Addr) string {
	if tcp, isTCP := address.(*net.TCPAddr); isTCP {
		return strconv.Itoa(tcp.Port)
	}
	return address.String()
}
