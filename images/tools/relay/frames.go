package main

import (
	"encoding/binary"
	"errors"
	"io"
)

// The kinds of frames, as in packages/relay/multiplexer.ts. `hello` means that the relay listens or is connected. `more`
// acknowledges bytes and allows as many again.
const (
	hello byte = iota
	opened
	data
	more
	end
	closed
	kinds
)

const (
	headBytes        = 9
	mostContentBytes = 64 * 1024
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
	length := binary.BigEndian.Uint32(head[:])
	if length > mostContentBytes || head[4] >= kinds {
		return frame{}, errNotAFrame
	}
	content := make([]byte, length)
	_, err := io.ReadFull(from, content)
	return frame{head[4], binary.BigEndian.Uint32(head[5:]), content}, err
}

// formatFrame returns one slice, because frames of several streams must not mix.
func formatFrame(kind byte, id uint32, content []byte) []byte {
	bytes := make([]byte, headBytes, headBytes+len(content))
	binary.BigEndian.PutUint32(bytes, uint32(len(content)))
	bytes[4] = kind
	binary.BigEndian.PutUint32(bytes[5:], id)
	return append(bytes, content...)
}
