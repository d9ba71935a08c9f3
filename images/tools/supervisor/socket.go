package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Of one question: a command's input is part of it.
const mostAsked = 32 << 20

// A container runs, and is asked, from the moment in which its first process begins.
const startTime = 3 * time.Second

// ask is the client: a list of words and its input, answered by an exit code on a line, and what to write. Its own end
// changes nothing for a command.
func ask(verb string, args []string) int {
	conn, err := net.Dial("unix", beside("socket"))
	for end := time.Now().Add(startTime); err != nil && time.Now().Before(end); conn, err = net.Dial("unix", beside("socket")) {
		time.Sleep(10 * time.Millisecond)
	}
	must(err)
	json.NewEncoder(conn).Encode(append([]string{verb}, args...))
	if verb == "exec" || verb == "access" || verb == "attend" {
		io.Copy(conn, os.Stdin)
	}
	conn.(*net.UnixConn).CloseWrite()
	answer, code, out := bufio.NewReader(conn), 0, os.Stdout
	_, err = fmt.Fscanln(answer, &code)
	must(err)
	if code != 0 {
		out = os.Stderr
	}
	_, err = io.Copy(out, answer)
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
				input := json.NewDecoder(io.LimitReader(conn, mostAsked))
				var asked []string
				input.Decode(&asked)
				code, text := s.answer(append(asked, "", "", ""), input, conn)
				fmt.Fprintf(conn, "%d\n%s", code, text)
			}()
		}
	}()
	return nil
}

func (s *supervisor) answer(asked []string, input *json.Decoder, conn net.Conn) (int, string) {
	switch asked[0] {
	case "exec":
		return s.startCommand(input)
	case "read":
		return s.readCommand(asked[1], asked[2])
	case "count":
		return 0, fmt.Sprintln(s.count())
	case "attend":
		// A terminal counts for as long as its client is there.
		s.addSessions(1)
		io.Copy(io.Discard, conn)
		s.addSessions(-1)
		return 0, ""
	case "open":
		s.opening.Do(s.open)
		return 0, ""
	case "ready":
		if !s.isReady() {
			return notReady, "Not yet\n"
		}
		return 0, ""
	case "access":
		return s.setAccess(input)
	case "status":
		return 0, s.status()
	}
	return wrongUse, "That is no question\n"
}
