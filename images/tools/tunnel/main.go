// Carries programs and connections of a run for a gateway: `tunnel <host>:<port>`. It connects to the gateway, so that a run
// need not admit connections. It continues in the background, with the rights of the run, until the gateway closes the connection.
//
// Standard input has one line, which no log shows: a number by which the gateway knows the connection, and a secret by which
// this program knows the gateway. Standard output has the fingerprint of this program's certificate.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"tools/shared"
	"tools/streams"
)

// Environment variable that marks the background process.
const backgroundVariable = "BERTH_TUNNEL"

// The exit code for a gateway that does not answer.
const unreachable = 69

func main() {
	if len(os.Args) != 2 {
		shared.Fail(shared.WrongUse, "usage: tunnel <host>:<port>")
	}
	if os.Getenv(backgroundVariable) == "" {
		startInBackground()
		return
	}
	shared.Must(os.Unsetenv(backgroundVariable))
	report := os.NewFile(3, "report")
	syscall.CloseOnExec(3)
	// Caught, not ignored: programs would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE)
	number, secret, err := readInvitation(os.Stdin)
	if err != nil {
		shared.Fail(shared.Malformed, err.Error())
	}
	conn, err := connect(os.Args[1], number, secret)
	if err != nil {
		fmt.Fprint(report, err)
		os.Exit(unreachable)
	}
	detachStreams()
	fmt.Fprint(report, connected)
	report.Close()
	m := streams.New(conn, mostStreams, serve)
	m.MayGrow = mostGrowth
	m.Hello(acceptsGrowth)
	<-m.Serve(conn)
	m.Close()
	// A program whose start is under way is hung up as soon as it has started.
	starting.Lock()
	conn.Close()
}

// A run has at most 750 streams by one gateway (packages/gateway/ports/stream-places.ts).
const mostStreams = 1024

// By how much the gateway may enlarge the window of a stream.
const mostGrowth = 1 << 20

// The content of a hello that allows this. The gateway compares it (packages/gateway/tunnels/tunnel.ts).
const acceptsGrowth = "growth"

// Held for reading while a program starts.
var starting sync.RWMutex

const connected = "connected"

// startInBackground starts a second process and returns once it is connected. The runtime waits for every process that
// holds the streams of the exec.
func startInBackground() {
	program, err := os.Executable()
	shared.Must(err)
	reportReader, report, err := os.Pipe()
	shared.Must(err)
	command := exec.Command(program, os.Args[1])
	command.Env = append(os.Environ(), backgroundVariable+"=1")
	command.Stdin, command.Stdout = os.Stdin, os.Stdout
	command.ExtraFiles = []*os.File{report}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	shared.Must(command.Start())
	report.Close()
	answer, _ := io.ReadAll(reportReader)
	if string(answer) != connected {
		shared.Fail(unreachable, string(answer))
	}
}

func readInvitation(input io.Reader) (number, secret []byte, err error) {
	line, err := bufio.NewReader(io.LimitReader(input, 256)).ReadString('\n')
	if err != nil {
		return nil, nil, err
	}
	words := strings.Fields(line)
	if len(words) != 2 {
		return nil, nil, fmt.Errorf("the input is no invitation")
	}
	if number, err = hex.DecodeString(words[0]); err != nil {
		return nil, nil, err
	}
	secret, err = hex.DecodeString(words[1])
	return number, secret, err
}

// detachStreams replaces the standard streams by /dev/null, so that the exec can end.
func detachStreams() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	shared.Must(err)
	for fd := range 3 {
		shared.Must(syscall.Dup3(int(null.Fd()), fd, 0))
	}
	null.Close()
}
