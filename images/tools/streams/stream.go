package streams

import (
	"io"
	"net"
	"sync"
)

const (
	mostWaitingMessages = 1024
	// Capacity of a pipe (pipe(7)), less the head, so that a frame fills four records of TLS.
	readBytes = 64*1024 - headBytes
	// Small, because a reader reserves this much of the window while it waits.
	readErrorBytes = 4 * 1024
)

// Stream is one of several streams over a pipe. Set OnDrop before the first read to learn of its end.
type Stream struct {
	multiplexer *Multiplexer
	id          uint32
	changed     *sync.Cond
	// Bytes that the other side still accepts, less those that a reader has room for.
	maySend int
	// Bytes that were sent, and that the other side has not accepted.
	sentBytes int
	// Bytes by which the other side may still enlarge its window.
	mayGrow      int
	waiting      [][]byte
	waitingBytes int
	// Accepted bytes that no More frame has acknowledged.
	acceptedBytes int
	messages      [][]byte
	// The other side sends no more.
	isInputEnded bool
	isDropped    bool
	onDrop       func()
	// Directions of a joined socket that have not ended.
	directions int
}

// OnDrop sets what runs once at the end of the stream, at once if it has ended. It must not call the stream.
func (s *Stream) OnDrop(run func()) {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	if s.isDropped {
		run()
		return
	}
	s.onDrop = run
}

// Send passes on what a reader returns, as frames of this kind, within the window. It returns the reader's error, or
// net.ErrClosed once the stream is dropped.
func (s *Stream) Send(kind byte, from io.Reader) error {
	most := readBytes
	if kind == Errors {
		most = readErrorBytes
	}
	buffer := make([]byte, headBytes+most)
	for {
		size := s.takeWindow(most)
		if size == 0 {
			return net.ErrClosed
		}
		length, err := from.Read(buffer[headBytes:][:size])
		s.noteSent(size, length)
		if length > 0 {
			putHead(buffer, kind, s.id, length)
			s.multiplexer.write(buffer[:headBytes+length])
		}
		if err != nil {
			return err
		}
	}
}

// SendEnd says that this side sends no more of this kind.
func (s *Stream) SendEnd(kind byte) {
	if kind == Data {
		kind = End
	}
	s.multiplexer.send(kind, s.id, nil)
}

// SendMessage sends JSON outside of the window.
func (s *Stream) SendMessage(content []byte) {
	s.multiplexer.send(Message, s.id, content)
}

// Next returns the next part that the other side sent, nil at the end of the input, and false once the stream is dropped.
func (s *Stream) Next() (part []byte, isOpen bool) {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	for len(s.waiting) == 0 && !s.isInputEnded && !s.isDropped {
		s.changed.Wait()
	}
	if s.isDropped || len(s.waiting) == 0 {
		return nil, !s.isDropped
	}
	part = s.waiting[0]
	s.waiting = s.waiting[1:]
	return part, true
}

// NextMessage returns false once the stream is dropped.
func (s *Stream) NextMessage() (content []byte, isOpen bool) {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	for len(s.messages) == 0 && !s.isDropped {
		s.changed.Wait()
	}
	if s.isDropped {
		return nil, false
	}
	content = s.messages[0]
	s.messages = s.messages[1:]
	return content, true
}

// Drop ends the stream on this side. The other side knows that it has ended.
func (s *Stream) Drop() {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	s.drop()
}

// IsOpen returns false once the stream is dropped.
func (s *Stream) IsOpen() bool {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	return !s.isDropped
}

// Fail closes the stream on both sides.
func (s *Stream) Fail() {
	s.multiplexer.mu.Lock()
	wasDropped := s.isDropped
	s.drop()
	s.multiplexer.mu.Unlock()
	if !wasDropped {
		s.multiplexer.send(Closed, s.id, nil)
	}
}

// drop expects that the caller holds the lock.
func (s *Stream) drop() {
	if s.isDropped {
		return
	}
	s.isDropped = true
	delete(s.multiplexer.streams, s.id)
	s.changed.Broadcast()
	if s.onDrop != nil {
		s.onDrop()
	}
}

// takeMessage drops messages beyond the bound, because ending the pipe would end all other streams.
func (s *Stream) takeMessage(content []byte) {
	if len(s.messages) < mostWaitingMessages {
		s.messages = append(s.messages, content)
	}
}
