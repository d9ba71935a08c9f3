package streams

import "encoding/binary"

const windowBytes = 256 * 1024

// Acknowledging half of a window leaves the other side the other half.
const acceptedAtOnce = windowBytes / 2

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

// noteSent returns the unused part of a reservation to the window.
func (s *Stream) noteSent(taken, sent int) {
	s.multiplexer.mu.Lock()
	defer s.multiplexer.mu.Unlock()
	s.maySend += taken - sent
	s.sentBytes += sent
	s.changed.Broadcast()
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

func (s *Stream) takeData(content []byte) error {
	s.waitingBytes += len(content)
	// No correct peer sends empty parts, and any number of them would fit into the window.
	if s.isInputEnded || len(content) == 0 || s.waitingBytes > windowBytes {
		return errWindow
	}
	s.waiting = append(s.waiting, content)
	return nil
}

func (s *Stream) allow(content []byte) error {
	if len(content) != 4 {
		return errNotAFrame
	}
	bytes := int(binary.BigEndian.Uint32(content))
	growth := max(0, bytes-s.sentBytes)
	if growth > s.mayGrow {
		return errWindow
	}
	s.mayGrow -= growth
	s.sentBytes -= bytes - growth
	s.maySend += bytes
	return nil
}
