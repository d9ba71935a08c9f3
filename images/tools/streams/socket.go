package streams

import (
	"io"
	"net"
)

// Socket is a connection whose directions end separately.
type Socket interface {
	net.Conn
	CloseWrite() error
}

// Join carries the bytes of a socket until both directions have ended.
func (s *Stream) Join(conn Socket) {
	s.directions = 2
	s.OnDrop(func() { conn.Close() })
	go s.sendSocket(conn)
	go s.receiveSocket(conn)
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
