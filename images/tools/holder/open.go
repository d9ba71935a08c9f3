package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"tools/shared"
)

const mostTerminals = 8

// heldAnswer is what the new process says once it holds the terminal.
const heldAnswer = "held"

func place() string {
	return shared.Beside("terminals")
}

func socketOf(id string) string {
	return filepath.Join(place(), id)
}

// open starts a process that holds a new terminal, with these words. Its socket exists before it.
func open(id string, words []string) {
	if err := os.Mkdir(place(), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		shared.Must(err)
	}
	makeRoom()
	mask := syscall.Umask(0o177)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketOf(id), Net: "unix"})
	syscall.Umask(mask)
	shared.Must(err)
	listener.SetUnlinkOnClose(false)
	socket, err := listener.File()
	shared.Must(err)
	if answer := start(words, socket); answer != heldAnswer {
		os.Remove(socketOf(id))
		shared.Fail(shared.NoPlace, "This terminal could not be opened: "+answer)
	}
}

// start returns what the new process says: that it holds the terminal, or why it does not.
func start(words []string, socket *os.File) string {
	program, err := os.Executable()
	shared.Must(err)
	heard, said, err := os.Pipe()
	shared.Must(err)
	command := exec.Command(program, append([]string{"hold"}, words...)...)
	command.Stdout = said
	command.Stderr = said
	command.ExtraFiles = []*os.File{socket}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	shared.Must(command.Start())
	said.Close()
	answer, _ := io.ReadAll(heard)
	return string(answer)
}

// makeRoom removes sockets that a killed process left. It fails if the run has as many terminals as it may have.
func makeRoom() {
	entries, err := os.ReadDir(place())
	shared.Must(err)
	if len(entries) < mostTerminals {
		return
	}
	living := 0
	for _, entry := range entries {
		conn, err := dial(socketOf(entry.Name()))
		if errors.Is(err, syscall.ECONNREFUSED) {
			os.Remove(socketOf(entry.Name()))
			continue
		}
		if err == nil {
			conn.Close()
		}
		living++
	}
	if living >= mostTerminals {
		shared.Fail(shared.Full, "This run has as many terminals as it may have")
	}
}

// isOwn reports whether the other end of a socket is of this process's user (SO_PEERCRED, unix(7)).
func isOwn(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	uid := -1
	raw.Control(func(fd uintptr) {
		if peer, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(peer.Uid)
		}
	})
	return uid == os.Geteuid()
}
