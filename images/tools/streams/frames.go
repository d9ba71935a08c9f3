// Package streams carries streams over one pipe: those of the relay, and those of the tunnel.
package streams

import (
	"encoding/binary"
	"errors"
	"io"
)

// The kinds of frames, as in packages/relay/frames.ts. `Hello` means that the relay listens or is connected. `More`
// acknowledges bytes and allows as many again. `Errors` is the standard error of a program, empty at its end. `Message` has
// JSON for one stream, outside of its window.
const (
	Hello byte = iota
	Opened
	Data
	More
	End
	Closed
	Errors
	Message
	kinds
)

const (
	headBytes        = 9
	mostContentBytes = 64 * 1024
	// A request has the command line of a user, which Linux limits to 2 MiB with its variables (execve(2)).
	mostMessageBytes = 4 << 20
)

type frame struct {
	kind    byte
	id      uint32
	content []byte
}

var errNotAFrame = errors.New("not a frame")

func readFrame(from io.Reader) (frame, error) {
	var head [headBytes]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return frame{}, err
	}
	length, most := binary.BigEndian.Uint32(head[:]), uint32(mostContentBytes)
	if head[4] == Message {
		most = mostMessageBytes
	}
	if length > most || head[4] >= kinds {
		return frame{}, errNotAFrame
	}
	content := make([]byte, length)
	_, err := io.ReadFull(from, content)
	return frame{head[4], binary.BigEndian.Uint32(head[5:]), content}, err
}

// formatFrame returns one slice, because frames of several streams must not mix.
func formatFrame(kind byte, id uint32, content []byte) []byte {
	bytes := make([]byte, headBytes, headBytes+len(content))
	putHead(bytes, kind, id, len(content))
	return append(bytes, content...)
}

func putHead(bytes []byte, kind byte, id uint32, length int) {
	binary.BigEndian.PutUint32(bytes, uint32(length))
	bytes[4] = kind
	binary.BigEndian.PutUint32(bytes[5:], id)
}
