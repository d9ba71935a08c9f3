package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"

	"tools/shared"
)

func (s *supervisor) answer(asked []string, input *json.Decoder, conn net.Conn) (int, string) {
	switch asked[0] {
	case "exec":
		return s.startCommand(input)
	case "count":
		return 0, fmt.Sprintln(s.addSessions(0))
	case "attend":
		// A terminal counts while its client is connected.
		s.addSessions(1)
		io.Copy(io.Discard, conn)
		s.addSessions(-1)
		return 0, ""
	case "open":
		s.opening.Do(s.open)
		return 0, ""
	case "ready":
		return s.ready()
	}
	return shared.WrongUse, "That is no question\n"
}

// ready reports whether the command has begun. The client checks its ports.
func (s *supervisor) ready() (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		return shared.NotReady, ""
	}
	return 0, s.ports
}

// addSessions counts the running commands and terminals.
func (s *supervisor) addSessions(more int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions += more
	return s.sessions
}
