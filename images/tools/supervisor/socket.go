package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Of one question: a command's input is part of it.
const mostAsked = 32 << 20

// A container runs, and is asked, from the moment in which its first process begins.
const startTime = 3 * time.Second

// ask is the client: a line of words and its input, answered by an exit code, a line, and what to write. Its own end
// changes nothing for a command.
func ask(verb string, args []string) int {
	conn, err := net.Dial("unix", beside("socket"))
	for end := time.Now().Add(startTime); err != nil && time.Now().Before(end); conn, err = net.Dial("unix", beside("socket")) {
		time.Sleep(10 * time.Millisecond)
	}
	must(err)
	line, _ := json.Marshal(append([]string{verb}, args...))
	conn.Write(append(line, '\n'))
	if verb == "exec" || verb == "access" || verb == "attend" {
		io.Copy(conn, os.Stdin)
	}
	conn.(*net.UnixConn).CloseWrite()
	answer := bufio.NewReader(conn)
	first, _ := answer.ReadString('\n')
	code, err := strconv.Atoi(strings.TrimSpace(first))
	must(err)
	if code == 0 {
		_, err = io.Copy(os.Stdout, answer)
	} else {
		io.Copy(os.Stderr, answer)
	}
	must(err)
	return code
}

// serve answers at the socket, which nobody but this user may open.
func (s *supervisor) serve() error {
	os.Remove(beside("socket"))
	mask := syscall.Umask(0o177)
	listener, err := net.Listen("unix", beside("socket"))
	syscall.Umask(mask)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				// Out of files: they come back.
				time.Sleep(100 * time.Millisecond)
				continue
			}
			go func() {
				defer conn.Close()
				input := bufio.NewReader(io.LimitReader(conn, mostAsked))
				var asked []string
				line, _ := input.ReadBytes('\n')
				if json.Unmarshal(line, &asked) != nil {
					asked = nil
				}
				code, text := s.answer(append(asked, "", "", ""), input)
				io.WriteString(conn, strconv.Itoa(code)+"\n"+text)
			}()
		}
	}()
	return nil
}

func (s *supervisor) answer(asked []string, input io.Reader) (int, string) {
	switch asked[0] {
	case "exec":
		return s.startCommand(input)
	case "read":
		return s.readCommand(asked[1], asked[2])
	case "count":
		return 0, strconv.Itoa(s.count()) + "\n"
	case "attend":
		s.attend(input)
		return 0, ""
	case "open":
		s.open()
		return 0, ""
	case "ready":
		if !s.isReady() {
			return notReady, "Not yet\n"
		}
		return 0, ""
	case "access":
		return s.setAccess(input)
	case "status":
		line, _ := json.Marshal(s.status())
		return 0, string(line) + "\n"
	}
	return wrongUse, "That is no question\n"
}

// count is of those at work: commands and terminals, and whoever is connected by SSH.
func (s *supervisor) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ssh, ok := s.services["ssh"]; ok {
		return s.sessions + countSockets(ssh.wanted.Port, "01")
	}
	return s.sessions
}

// attend counts a terminal for as long as its client is there.
func (s *supervisor) attend(input io.Reader) {
	s.mu.Lock()
	s.sessions++
	s.mu.Unlock()
	io.Copy(io.Discard, input)
	s.mu.Lock()
	s.sessions--
	s.mu.Unlock()
}
