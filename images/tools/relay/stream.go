package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// socket is a connection whose directions end separately.
type socket interface {
	net.Conn
	CloseWrite() error
}

type stream struct {
	*multiplexer
	id      uint32
	conn    socket
	changed *sync.Cond
	// Bytes that the other side still accepts.
	maySend      int
	isSent       bool
	waiting      [][]byte
	waitingBytes int
	// The other side sends no more.
	isInputEnded bool
	isReceived   bool
	isDropped    bool
}

func (s *stream) takeData(content []byte) error {
	s.waitingBytes += len(content)
	// No correct peer sends empty parts, and any number of them would fit into the window.
	if s.isInputEnded || len(content) == 0 || s.waitingBytes > windowBytes {
		return errWindow
	}
	s.waiting = append(s.waiting, content)
	return nil
}

func (s *stream) allow(content []byte) error {
	if len(content) != 4 {
		return errNotAFrame
	}
	bytes := binary.BigEndian.Uint32(content)
	if uint64(s.maySend)+uint64(bytes) > windowBytes {
		return errWindow
	}
	s.maySend += int(bytes)
	return nil
}

// sendAll passes on what the socket says.
func (s *stream) sendAll() {
	buffer := make([]byte, mostContentBytes)
	for {
		size := s.awaitWindow()
		if size == 0 {
			return
		}
		length, err := s.conn.Read(buffer[:min(size, len(buffer))])
		if length > 0 {
			s.mu.Lock()
			s.maySend -= length
			s.mu.Unlock()
			s.send(data, s.id, buffer[:length])
		}
		if err == io.EOF {
			s.send(end, s.id, nil)
			s.finish(&s.isSent)
			return
		}
		if err != nil {
			s.fail()
			return
		}
	}
}

// awaitWindow returns 0 once the stream is dropped.
func (s *stream) awaitWindow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.maySend == 0 && !s.isDropped {
		s.changed.Wait()
	}
	if s.isDropped {
		return 0
	}
	return s.maySend
}

// receiveAll writes to the socket what the other side sends.
func (s *stream) receiveAll() {
	for {
		part, isOpen := s.awaitPart()
		if !isOpen {
			return
		}
		if part == nil {
			s.conn.CloseWrite()
			s.finish(&s.isReceived)
			return
		}
		if _, err := s.conn.Write(part); err != nil {
			s.fail()
			return
		}
		s.mu.Lock()
		s.waitingBytes -= len(part)
		s.mu.Unlock()
		s.send(more, s.id, binary.BigEndian.AppendUint32(nil, uint32(len(part))))
	}
}

// awaitPart returns a nil part at the end of the input, and false once the stream is dropped.
func (s *stream) awaitPart() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && !s.isInputEnded && !s.isDropped {
		s.changed.Wait()
	}
	if s.isDropped || len(s.waiting) == 0 {
		return nil, !s.isDropped
	}
	part := s.waiting[0]
	s.waiting = s.waiting[1:]
	return part, true
}

// finish marks one direction as ended, and drops the stream when both are.
func (s *stream) finish(direction *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*direction = true
	if s.isSent && s.isReceived {
		s.drop()
	}
}

// fail closes the stream on both sides.
func (s *stream) fail() {
	s.mu.Lock()
	wasDropped := s.isDropped
	s.drop()
	s.mu.Unlock()
	if !wasDropped {
		s.send(closed, s.id, nil)
	}
}

// drop expects that the caller holds the lock.
func (s *stream) drop() {
	s.isDropped = true
	delete(s.streams, s.id)
	s.conn.Close()
	s.changed.Broadcast()
}
