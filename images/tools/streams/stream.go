package streams

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

const (
	mostWaitingMessages = 1024
	// As many as a pipe holds (pipe(7)).
	readBytes = 64 * 1024
	// A reader of standard error mostly waits, and keeps this much of the window meanwhile.
	readErrorBytes = 4 * 1024
	// The other side still has three quarters of its window then.
	acceptedAtOnce = windowBytes / 4
)

// Socket is a connection whose directions end separately.
type Socket interface {
	net.Conn
	CloseWrite() error
}

// Stream is one of several streams over a pipe. Its owner is told of its end by `OnDrop`, set before anything is read.
type Stream struct {
	multiplexer *Multiplexer
	id          uint32
	changed     *sync.Cond
	// Bytes that the other side still accepts, less those that a reader has room for.
	maySend int
	// Bytes that were sent, and that the other side has not accepted.
	sentBytes    int
	waiting      [][]byte
	waitingBytes int
	// Bytes that this side has accepted, and has not said so.
	acceptedBytes int
	messages      [][]byte
	// The other side sends no more.
	isInputEnded bool
	isDropped    bool
	onDrop       func()
	// Directions of a joined socket that have not ended.
	directions int
}

// Join carries the bytes of a socket until both directions have ended.
func (s *Stream) Join(conn Socket) {
	s.directions = 2
	s.OnDrop(func() { conn.Close() })
	go s.sendSocket(conn)
	go s.receiveSocket(conn)
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

func (s *Stream) sendSocket(conn Socket) {
	if s.Send(Data, conn) != io.EOF {
		s.Fail()
		return
	}
	s.multiplexer.send(End, s.id, nil)
	s.finish()
}

func (s *Stream) receiveSocket(conn Socket) {
	for {
		part, isOpen := s.Next()
		if !isOpen {
			return
		}
		if part == nil {
			conn.CloseWrite()
			s.finish()
			return
		}
		if _, err := conn.Write(part); err != nil {
			s.Fail()
			return
		}
		s.Accept(len(part))
	}
}

// finish marks one direction of a socket as ended, and drops the stream when both are.
func (s *Stream) finish() {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	s.directions--
	if s.directions == 0 {
		s.drop()
	}
}

// Send passes on what a reader returns, as frames of this kind, within the window. It returns the reader's error, or
// net.ErrClosed once the stream is dropped.
func (s *Stream) Send(kind byte, from io.Reader) error {
	buffer := make([]byte, readBytes)
	if kind == Errors {
		buffer = buffer[:readErrorBytes]
	}
	for {
		size := s.takeWindow(len(buffer))
		if size == 0 {
			return net.ErrClosed
		}
		length, err := from.Read(buffer[:size])
		s.noteSent(size, length)
		if length > 0 {
			s.multiplexer.send(kind, s.id, buffer[:length])
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

// takeWindow returns how many bytes may be sent, and 0 once the stream is dropped.
func (s *Stream) takeWindow(most int) int {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	for s.maySend == 0 && !s.isDropped {
		s.changed.Wait()
	}
	if s.isDropped {
		return 0
	}
	size := min(most, s.maySend)
	s.maySend -= size
	return size
}

// noteSent gives back what was taken and not sent.
func (s *Stream) noteSent(taken, sent int) {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	s.maySend += taken - sent
	s.sentBytes += sent
	s.changed.Broadcast()
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

// Accept allows the other side to send so many bytes more. It says so once they are enough to be worth a frame.
func (s *Stream) Accept(bytes int) {
	s.multiplexer.mu.Lock()
	s.waitingBytes -= bytes
	s.acceptedBytes += bytes
	accepted := s.acceptedBytes
	isEnough := accepted >= acceptedAtOnce
	if isEnough {
		s.acceptedBytes = 0
	}
	s.multiplexer.mu.Unlock()
	if isEnough {
		s.multiplexer.send(More, s.id, binary.BigEndian.AppendUint32(nil, uint32(accepted)))
	}
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

func (s *Stream) takeData(content []byte) error {
	s.waitingBytes += len(content)
	// No correct peer sends empty parts, and any number of them would fit into the window.
	if s.isInputEnded || len(content) == 0 || s.waitingBytes > windowBytes {
		return errWindow
	}
	s.waiting = append(s.waiting, content)
	return nil
}

func (s *Stream) takeMessage(content []byte) error {
	if len(s.messages) >= mostWaitingMessages {
		return errors.New("too many messages")
	}
	s.messages = append(s.messages, content)
	return nil
}

func (s *Stream) allow(content []byte) error {
	if len(content) != 4 {
		return errNotAFrame
	}
	bytes := int64(binary.BigEndian.Uint32(content))
	if bytes > int64(s.sentBytes) {
		return errWindow
	}
	s.sentBytes -= int(bytes)
	s.maySend += int(bytes)
	return nil
}
