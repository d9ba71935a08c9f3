// Serves SFTP on its standard streams, like OpenSSH's sftp-server, so that images need none.
package main

import (
	"errors"
	"io"
	"os"

	"github.com/pkg/sftp"

	"tools/shared"
)

type standardStreams struct {
	io.Reader
	io.WriteCloser
}

func main() {
	server, err := sftp.NewServer(standardStreams{os.Stdin, os.Stdout})
	shared.Must(err)
	if err := server.Serve(); !errors.Is(err, io.EOF) {
		shared.Must(err)
	}
}
