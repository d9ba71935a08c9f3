package main

import (
	"encoding/binary"
	"errors"
	"io"
)

// window is the most bytes in either direction that are not acknowledged, and the most content of a frame.
const window = 128 << 10

const (
	attachSize = 12
	resizeSize = 4
	offsetSize = 8
)

var errNoFrame = errors.New("not a frame of a terminal")

type frame struct {
	kind    byte
	content []byte
}

func readFrame(from io.Reader) (frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length > window || !hasSize(head[0], length) {
		return frame{}, errNoFrame
	}
	content := make([]byte, length)
	_, err := io.ReadFull(from, content)
	return frame{head[0], content}, err
}

func hasSize(kind byte, length uint32) bool {
	switch kind {
	case 'a':
		return length == attachSize
	case 'w':
		return length == resizeSize
	case 'k':
		return length == offsetSize
	}
	return kind == 'i'
}

func newFrame(kind byte, content []byte) []byte {
	bytes := append(make([]byte, 0, 5+len(content)), kind)
	return append(binary.BigEndian.AppendUint32(bytes, uint32(len(content))), content...)
}

func readSize(content []byte) (columns, lines uint16) {
	return binary.BigEndian.Uint16(content), binary.BigEndian.Uint16(content[2:])
}

// readOffset returns 0 for no offset, which stands for everything that is kept.
func readOffset(content []byte) int64 {
	return max(0, int64(binary.BigEndian.Uint64(content)))
}

func numberBytes(value int) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(value))
}

func offsetBytes(value int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(value))
}
