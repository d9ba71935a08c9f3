// Serves SFTP on its standard streams, with the extensions of OpenSSH 9's sftp-server, so that images need none.
package main

import (
	"errors"
	"io"
	"os"

	"github.com/pkg/sftp"

	"tools/shared"
)

type streams struct {
	io.Reader
	io.WriteCloser
}

// The library answers all requests except the extensions that it lacks, which `extensions` answers before it.
func main() {
	requests, toLibrary := io.Pipe()
	fromLibrary, replies := io.Pipe()
	server, err := sftp.NewServer(streams{requests, replies}, sftp.WithMaxTxPacket(longestData))
	shared.Must(err)
	session := newSession(toLibrary, os.Stdout)
	passed := make(chan error, 1)
	go func() { passed <- session.passReplies(fromLibrary) }()
	go func() {
		err := session.passRequests(os.Stdin)
		toLibrary.CloseWithError(err)
	}()
	err = server.Serve()
	replies.Close()
	shared.Must(<-passed)
	if !errors.Is(err, io.EOF) {
		shared.Must(err)
	}
}
