package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"tools/shared"
)

// hangUpGrace is the time between the hang-up and the kill.
const hangUpGrace = 2 * time.Second

// socketNumber is the file descriptor of the socket that `holder open` made.
const socketNumber = 3

// acceptPause is the time for other connections to end, if this process has no file descriptors left.
const acceptPause = 100 * time.Millisecond

// hold keeps a terminal until nothing is left to show of it.
func hold(id string, columns, lines uint16, words []string, wait times) {
	master, slave, err := shared.OpenTerminal()
	shared.Must(err)
	shared.ResizeTerminal(master, columns, lines)
	listener, err := net.FileListener(os.NewFile(socketNumber, "socket"))
	shared.Must(err)
	command := exec.Command(words[0], words[1:]...)
	command.Stdin, command.Stdout, command.Stderr = slave, slave, slave
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	shared.Must(command.Start())
	slave.Close()
	h := newHolder(master, wait)
	go accept(listener, h)
	go h.waitFor(command)
	fmt.Print(heldAnswer)
	// Standard input is empty. The end of the output tells `holder open` that the answer is whole.
	syscall.Dup3(0, 1, 0)
	syscall.Dup3(0, 2, 0)
	<-h.over
	os.Remove(socketOf(id))
	master.Close()
	if h.isRunning() {
		// The closed terminal hung up its programs. One that ignores this is killed.
		time.Sleep(hangUpGrace)
		syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	}
}

func accept(listener net.Listener, h *holder) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		go h.join(conn.(*net.UnixConn))
	}
}
