// Holds a terminal of a run for viewers who come and go. `holder open <id> <columns> <lines> <word> …` starts a terminal,
// and `holder join <id>` finds one. Both print a line, and then connect it with their standard streams. The frames are
// those of packages/relay/terminal-frames.ts. `holder hold` is the process that keeps a terminal between viewers.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"

	"tools/shared"
)

var terminalID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// times are how long a terminal lives without a viewer: while its program runs, and after that.
type times struct {
	unseen, ended time.Duration
}

func main() {
	verb, wait := append(os.Args, "")[1], times{}
	flags := flag.NewFlagSet("holder", flag.ExitOnError)
	flags.DurationVar(&wait.unseen, "unseen", 10*time.Minute, "")
	flags.DurationVar(&wait.ended, "ended", time.Minute, "")
	flags.Parse(os.Args[min(2, len(os.Args)):])
	words := flags.Args()
	hasProgram := len(words) > 3
	switch {
	case len(words) == 0 || !terminalID.MatchString(words[0]):
		failUse()
	case verb == "join":
		connect(words[0])
	case verb == "open" && hasProgram:
		open(words[0], os.Args[2:])
		connect(words[0])
	case verb == "hold" && hasProgram:
		hold(words[0], number(words[1]), number(words[2]), words[3:], wait)
	default:
		failUse()
	}
}

func failUse() {
	shared.Fail(shared.WrongUse, "usage: holder open <id> <columns> <lines> <word> ... | join <id>")
}

// connect passes frames between a viewer and a terminal. It ends when either of them does.
func connect(id string) {
	conn, err := dial(socketOf(id))
	if err != nil {
		shared.Fail(shared.UnknownID, "No such terminal")
	}
	fmt.Println("open")
	go func() {
		io.Copy(conn, os.Stdin)
		os.Exit(0)
	}()
	io.Copy(os.Stdout, conn)
}

func dial(path string) (*net.UnixConn, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil && !isOwn(conn) {
		conn.Close()
		return nil, os.ErrPermission
	}
	return conn, err
}

func number(text string) uint16 {
	value, _ := strconv.ParseUint(text, 10, 16)
	return uint16(value)
}
