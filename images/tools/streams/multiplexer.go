package streams

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

var errWindow = errors.New("more data than the window allows")

// Multiplexer carries streams over one pipe with a window each (as in RFC 4254, 5.2), so that a slow stream delays no other.
type Multiplexer struct {
	// Guards the output.
	writing    sync.Mutex
	output     io.Writer
	ended      chan error
	maxStreams int
	accept     func(*Stream)
	// MayGrow bounds by how many bytes the other side may enlarge the window of each stream. Set it before Serve.
	MayGrow int
	// Guards the fields below, and those of each stream.
	mu      sync.Mutex
	streams map[uint32]*Stream
	lastID  uint32
}

// New returns a multiplexer for at most maxStreams streams. It calls accept for each stream that the other side opens. If
// accept is nil, the other side may open none.
func New(output io.Writer, maxStreams int, accept func(*Stream)) *Multiplexer {
	return &Multiplexer{output: output, ended: make(chan error, 1), maxStreams: maxStreams, accept: accept, streams: map[uint32]*Stream{}}
}

// Serve reads frames. The channel gets nil at the end of the input, or the error that ended it or the output.
func (m *Multiplexer) Serve(input io.Reader) <-chan error {
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

// Hello tells the other side that this side is ready. Its content is an address, or what this side accepts.
func (m *Multiplexer) Hello(content string) {
	m.send(Hello, 0, []byte(content))
}

// Open opens a stream for a socket. It closes the socket if too many streams are open.
func (m *Multiplexer) Open(conn Socket) {
	m.mu.Lock()
	if len(m.streams) >= m.maxStreams {
		m.mu.Unlock()
		conn.Close()
		return
	}
	m.lastID++
	s := m.add(m.lastID)
	m.mu.Unlock()
	m.send(Opened, s.id, nil)
	s.Join(conn)
}

// Close drops all streams. The other side can open none after that.
func (m *Multiplexer) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.maxStreams = 0
	for _, s := range m.streams {
		s.drop()
	}
}

// add expects that the caller holds the lock.
func (m *Multiplexer) add(id uint32) *Stream {
	s := &Stream{multiplexer: m, id: id, maySend: windowBytes, mayGrow: m.MayGrow}
	s.changed = sync.NewCond(&m.mu)
	m.streams[id] = s
	return s
}

// take does not wait for a socket or the output, so no stream can delay the others.
func (m *Multiplexer) take(f frame) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.kind == Opened {
		if m.accept == nil || m.streams[f.id] != nil || len(m.streams) >= m.maxStreams {
			return errors.New("this side may not open a stream")
		}
		go m.accept(m.add(f.id))
		return nil
	}
	s := m.streams[f.id]
	if s == nil {
		return nil
	}
	defer s.changed.Broadcast()
	switch f.kind {
	case Data:
		return s.takeData(f.content)
	case Message:
		s.takeMessage(f.content)
	case End:
		if s.isInputEnded {
			return errWindow
		}
		s.isInputEnded = true
	case More:
		return s.allow(f.content)
	case Closed:
		s.drop()
	}
	return nil
}

func (m *Multiplexer) send(kind byte, id uint32, content []byte) {
	m.write(formatFrame(kind, id, content))
}

func (m *Multiplexer) write(frame []byte) {
	m.writing.Lock()
	defer m.writing.Unlock()
	if _, err := m.output.Write(frame); err != nil {
		m.stop(err)
	}
}

func (m *Multiplexer) stop(err error) {
	select {
	case m.ended <- err:
	default:
	}
}
