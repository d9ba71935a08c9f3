package main

import (
	"encoding/json"
	"net"
	"strconv"

	"tools/shared"
	"tools/streams"
)

// openRequest is the first message of a stream: a port to connect to, or a program to start.
type openRequest struct {
	Port     uint16            `json:"port"`
	Words    []string          `json:"words"`
	Env      map[string]string `json:"env"`
	Terminal *size             `json:"terminal"`
}

type size struct {
	Columns uint16 `json:"columns"`
	Rows    uint16 `json:"rows"`
}

// update is any later message for a program.
type update struct {
	Signal string `json:"signal"`
	Resize *size  `json:"resize"`
}

// answer is a message to the gateway: that the port or program is there, or how the program ended.
type answer struct {
	IsOpen   bool `json:"isOpen,omitempty"`
	ExitCode *int `json:"exitCode,omitempty"`
}

func serve(s *streams.Stream) {
	content, isOpen := s.NextMessage()
	var request openRequest
	if !isOpen || json.Unmarshal(content, &request) != nil {
		s.Fail()
		return
	}
	if len(request.Words) > 0 {
		serveProgram(s, request)
		return
	}
	conn, err := dial(request.Port)
	if err != nil {
		s.Fail()
		return
	}
	sendAnswer(s, answer{IsOpen: true})
	s.Join(conn)
}

// dial connects to the loopback, as the API server's port-forward does. A program may listen at either address.
func dial(port uint16) (streams.Socket, error) {
	var conn net.Conn
	var err error
	for _, host := range []string{"127.0.0.1", "::1"} {
		if conn, err = net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(port)))); err == nil {
			return conn.(streams.Socket), nil
		}
	}
	return nil, err
}

func sendAnswer(s *streams.Stream, message answer) {
	content, err := json.Marshal(message)
	shared.Must(err)
	s.SendMessage(content)
}
