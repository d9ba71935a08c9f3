package shared

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// MostAsked is the maximum size of one request, with the input of a command.
const MostAsked = 32 << 20

// Answering handles a list of words and the input after it. It returns an exit code and the output.
type Answering func(asked []string, input *json.Decoder, conn net.Conn) (int, string)

// Serve answers at a socket that only this user may open.
func Serve(name string, answer Answering) error {
	os.Remove(Beside(name))
	mask := syscall.Umask(0o177)
	listener, err := net.Listen("unix", Beside(name))
	syscall.Umask(mask)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				// The process has no file descriptors left. They become free again.
				time.Sleep(100 * time.Millisecond)
				continue
			}
			go func() {
				defer conn.Close()
				input := json.NewDecoder(io.LimitReader(conn, MostAsked))
				var asked []string
				input.Decode(&asked)
				code, text := answer(append(asked, ""), input, conn)
				fmt.Fprintf(conn, "%d\n%s", code, text)
			}()
		}
	}()
	return nil
}
