package main

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// Types of packets (draft-ietf-secsh-filexfer-02, section 3).
const (
	typeInit     = 1
	typeVersion  = 2
	typeOpen     = 3
	typeClose    = 4
	typeHandle   = 102
	typeStatus   = 101
	typeName     = 104
	typeExtended = 200
	typeReply    = 201
)

const (
	// Largest packet, as in OpenSSH's server (sftp-common.h) and in the library.
	longestPacket = 256 * 1024
	longestData   = longestPacket - 1024
)

// opened is a file that the library has open.
type opened struct {
	path  string
	flags uint32
}

// session passes packets between a client and the library, and answers extensions in between.
type session struct {
	library io.Writer
	client  io.Writer

	mutex sync.Mutex
	// Requests that the library has not answered.
	pending int
	idle    *sync.Cond
	// Files by the number of a request to open them, and later by their handle.
	opening map[uint32]opened
	files   map[string]opened
}

func newSession(library, client io.Writer) *session {
	s := &session{library: library, client: client, opening: map[uint32]opened{}, files: map[string]opened{}}
	s.idle = sync.NewCond(&s.mutex)
	return s
}

// passRequests returns io.EOF at the end of the client's input.
func (s *session) passRequests(client io.Reader) error {
	buffer := make([]byte, 4+longestPacket)
	for {
		packet, err := readPacket(client, buffer)
		if err != nil {
			return err
		}
		if answered, err := s.answer(packet); err != nil {
			return err
		} else if answered {
			continue
		}
		s.note(packet)
		if _, err := s.library.Write(packet); err != nil {
			return err
		}
	}
}

// answer reports whether the packet is an extension of ours. It waits until the library has answered all earlier
// requests, such as writes to a file that is copied now.
func (s *session) answer(packet []byte) (bool, error) {
	if packet[4] != typeExtended {
		return false, nil
	}
	fields := reader{bytes: packet[5:]}
	id := fields.uint32()
	extension := find(fields.string())
	if extension == nil || extension.answer == nil {
		return false, nil
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.pending > 0 {
		s.idle.Wait()
	}
	_, err := s.client.Write(extension.reply(id, s.files, fields))
	return true, err
}

func (s *session) note(packet []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.pending++
	fields := reader{bytes: packet[5:]}
	id := fields.uint32()
	switch packet[4] {
	case typeOpen:
		s.opening[id] = opened{path: fields.string(), flags: fields.uint32()}
	case typeClose:
		delete(s.files, fields.string())
	}
}

func (s *session) passReplies(library io.Reader) error {
	buffer := make([]byte, 4+longestPacket)
	for {
		packet, err := readPacket(library, buffer)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if packet[4] == typeVersion {
			packet = announce()
		}
		if err := s.passReply(packet); err != nil {
			return err
		}
	}
}

func (s *session) passReply(packet []byte) error {
	s.settle(packet)
	_, err := s.client.Write(packet)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.pending--
	s.idle.Signal()
	return err
}

// settle forgets an answered request to open a file, and notes the handle of the file before the client can use it.
func (s *session) settle(packet []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	fields := reader{bytes: packet[5:]}
	id := fields.uint32()
	file, isFile := s.opening[id]
	delete(s.opening, id)
	if isFile && packet[4] == typeHandle {
		s.files[fields.string()] = file
	}
}

// readPacket returns a packet with its length.
func readPacket(from io.Reader, buffer []byte) ([]byte, error) {
	if _, err := io.ReadFull(from, buffer[:4]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(buffer)
	if length == 0 || length > longestPacket {
		return nil, errors.New("a packet of SFTP is empty or too long")
	}
	_, err := io.ReadFull(from, buffer[4:4+length])
	return buffer[:4+length], err
}
