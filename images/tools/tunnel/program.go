package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tools/shared"
	"tools/streams"
)

// program is a process of the run. Its client is at the gateway.
type program struct {
	stream *streams.Stream
	// The files of this side: the master of the terminal, or pipes. Without a terminal there are three.
	input, output, errors *os.File
	pid                   int
	// Guards the field below. The process number may belong to another process once it is set.
	ending   sync.Mutex
	hasEnded bool
}

func serveProgram(s *streams.Stream, request openRequest) {
	p := &program{stream: s}
	command, err := p.start(request)
	if err != nil {
		sendAnswer(s, answer{IsOpen: true})
		for _, kind := range []byte{streams.Data, streams.Errors} {
			s.SendEnd(kind)
		}
		p.reportEnd(shared.StartCode(err))
		return
	}
	sendAnswer(s, answer{IsOpen: true})
	go p.receive()
	go p.takeMessages()
	isSent := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	go p.send(streams.Data, p.output, isSent[0])
	go p.send(streams.Errors, p.errors, isSent[1])
	p.wait(command)
	if p.errors == nil {
		// Wakes a read that waits already.
		p.output.SetReadDeadline(time.Now().Add(lastWordsGrace))
	}
	code := shared.ExitCode(command.ProcessState.Sys().(syscall.WaitStatus))
	// Like sshd, it reports the end at once, and the output of children that still run later.
	sendAnswer(s, answer{ExitCode: &code})
	for _, sent := range isSent {
		<-sent
	}
	s.Drop()
}

// wait keeps the process number in use until no signal can be sent to it any more.
func (p *program) wait(command *exec.Cmd) {
	for unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.ending.Lock()
	p.hasEnded = true
	p.ending.Unlock()
	command.Wait()
}

// reportEnd ends a stream whose output has ended.
func (p *program) reportEnd(code int) {
	sendAnswer(p.stream, answer{ExitCode: &code})
	p.stream.Drop()
}

// start begins a session of processes, so that a hang-up reaches the whole group.
func (p *program) start(request openRequest) (*exec.Cmd, error) {
	path, words, err := shared.FindProgram(request.Words, "")
	if err != nil {
		return nil, err
	}
	command := &exec.Cmd{Path: path, Args: words, Env: shared.Environment(request.Env)}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: request.Terminal != nil}
	starting.RLock()
	defer starting.RUnlock()
	if !p.stream.IsOpen() {
		return nil, net.ErrClosed
	}
	childFiles, err := p.open(command, request.Terminal)
	if err == nil {
		err = command.Start()
	}
	for _, file := range childFiles {
		file.Close()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	p.pid = command.Process.Pid
	p.stream.OnDrop(p.hangUp)
	return command, nil
}

// open opens the streams of a command, and returns the files of its side.
func (p *program) open(command *exec.Cmd, terminal *size) ([]*os.File, error) {
	if terminal != nil {
		master, slave, err := shared.OpenTerminal()
		if err != nil {
			return nil, err
		}
		shared.ResizeTerminal(master, terminal.Columns, terminal.Rows)
		p.input, p.output = master, master
		command.Stdin, command.Stdout, command.Stderr = slave, slave, slave
		return []*os.File{slave}, nil
	}
	var child [3]*os.File
	var err error
	if child[0], p.input, err = os.Pipe(); err != nil {
		return nil, err
	}
	if p.output, child[1], err = os.Pipe(); err != nil {
		return child[:1], err
	}
	if p.errors, child[2], err = os.Pipe(); err != nil {
		return child[:2], err
	}
	command.Stdin, command.Stdout, command.Stderr = child[0], child[1], child[2]
	return child[:], nil
}

// receive writes the input. The rest is discarded once the program reads no more.
func (p *program) receive() {
	isRead := true
	for {
		part, isOpen := p.stream.Next()
		if !isOpen {
			return
		}
		if part == nil {
			// A terminal stays open for its output.
			if p.errors != nil {
				p.input.Close()
			}
			return
		}
		if isRead {
			_, err := p.input.Write(part)
			isRead = err == nil
		}
		p.stream.Accept(len(part))
	}
}

func (p *program) takeMessages() {
	for {
		content, isOpen := p.stream.NextMessage()
		if !isOpen {
			return
		}
		var change update
		if json.Unmarshal(content, &change) != nil {
			continue
		}
		if change.Resize != nil && p.errors == nil {
			shared.ResizeTerminal(p.output, change.Resize.Columns, change.Resize.Rows)
		}
		if number := unix.SignalNum(change.Signal); number != 0 {
			p.signal(number)
		}
	}
}

// signal reaches the whole group, as a closed terminal does. Processes started with setsid go on.
func (p *program) signal(number syscall.Signal) {
	p.ending.Lock()
	defer p.ending.Unlock()
	if !p.hasEnded && syscall.Kill(-p.pid, number) != nil {
		syscall.Kill(p.pid, number)
	}
}

// hangUp runs at the end of the stream. The program may have ended before.
func (p *program) hangUp() {
	p.signal(syscall.SIGHUP)
	p.close()
}

func (p *program) close() {
	for _, file := range []*os.File{p.input, p.output, p.errors} {
		if file != nil {
			file.Close()
		}
	}
}
