package main

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

const (
	mostStreams = 128
	windowBytes = 128 * 1024
)

var errWindow = errors.New("more data than the window allows")

// multiplexer carries streams over one pipe with a window each (as in RFC 4254, 5.2), so that a slow stream delays no other.
type multiplexer struct {
	// Guards the output.
	writing sync.Mutex
	output  io.Writer
	ended   chan error
	// Guards the fields below, and those of each stream.
	mu      sync.Mutex
	streams map[uint32]*stream
	lastID  uint32
}

func newMultiplexer(output io.Writer) *multiplexer {
	return &multiplexer{output: output, ended: make(chan error, 1), streams: map[uint32]*stream{}}
}

// serve reads frames. The channel gets nil at the end of the input, or the error that ended it or the output.
func (m *multiplexer) serve(input io.Reader) <-chan error {
	go func() {
		reader := bufio.NewReaderSize(input, mostContentBytes)
		for {
			f, err := readFrame(reader)
			if err == nil {
				err = m.take(f)
			}
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				m.stop(nil)
				return
			}
			if err != nil {
				m.stop(err)
				return
			}
		}
	}()
	return m.ended
}

func (m *multiplexer) hello(address string) {
	m.send(hello, 0, []byte(address))
}

// open closes the socket if too many streams are open.
func (m *multiplexer) open(conn socket) {
	m.mu.Lock()
	if len(m.streams) >= mostStreams {
		m.mu.Unlock()
		conn.Close()
		return
	}
	m.lastID++
	s := &stream{multiplexer: m, id: m.lastID, conn: conn, maySend: windowBytes}
	s.changed = sync.NewCond(&m.mu)
	m.streams[s.id] = s
	m.mu.Unlock()
	m.send(opened, s.id, nil)
	go s.sendAll()
	go s.receiveAll()
}

// take does not wait for a socket or the output, so no stream can delay the others.
func (m *multiplexer) take(f frame) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.kind == opened {
		return errors.New("this side may not open a stream")
	}
	s := m.streams[f.id]
	if s == nil {
		return nil
	}
	defer s.changed.Broadcast()
	switch f.kind {
	case data:
		return s.takeData(f.content)
	case end:
		if s.isInputEnded {
			return errWindow
		}
		s.isInputEnded = true
	case more:
		return s.allow(f.content)
	case closed:
		s.drop()
	}
	return nil
}

func (m *multiplexer) send(kind byte, id uint32, content []byte) {
	m.writing.Lock()
	defer m.writing.Unlock()
	if _, err := m.output.Write(formatFrame(kind, id, content)); err != nil {
		m.stop(err)
	}
}

func (m *multiplexer) stop(err error) {
	select {
	case m.ended <- err:
	default:
	}
}
