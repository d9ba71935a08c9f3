// Runs a command at a new terminal: `terminal <columns> <rows> <word> …`. It ends with its input, and so learns that the
// client left; a terminal of the container runtime would not report that. The input has frames: `i` or `w`, a length in four
// bytes, and typed bytes, or columns and rows in two bytes each.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"tools/shared"
)

// The time between the hang-up and the kill.
const hangUpGrace = 2 * time.Second

// The time for remaining output after the end of the command. Its children may keep the terminal open.
const lastWordsGrace = 200 * time.Millisecond

func main() {
	if len(os.Args) < 4 {
		fail(64, "usage: terminal <columns> <rows> <word> ...")
	}
	master, slave, err := shared.OpenTerminal()
	if err != nil {
		fail(70, err.Error())
	}
	shared.ResizeTerminal(master, number(os.Args[1]), number(os.Args[2]))
	defer attend().Close()
	command := commandOf(os.Args[3:])
	command.Stdin, command.Stdout, command.Stderr = slave, slave, slave
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		fail(127, err.Error())
	}
	slave.Close()
	go takeInput(master, command.Process.Pid)
	written := make(chan struct{})
	go func() {
		io.Copy(os.Stdout, master)
		close(written)
	}()
	command.Wait()
	select {
	case <-written:
	case <-time.After(lastWordsGrace):
	}
	status := command.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(status.ExitStatus())
}

// attend makes the supervisor count this terminal while it exists.
func attend() io.Closer {
	attending := exec.Command(beside("supervisor"), "attend")
	held, _ := attending.StdinPipe()
	attending.Start()
	return held
}

// commandOf returns the command to run. An image without a shell gets busybox's.
func commandOf(words []string) *exec.Cmd {
	command := exec.Command(words[0], words[1:]...)
	if command.Err != nil && filepath.Base(words[0]) == "sh" {
		command = exec.Command(beside("busybox"), words[1:]...)
		command.Args[0] = "sh"
	}
	command.Env = append(os.Environ(), "TERM=xterm-256color")
	return command
}

func beside(name string) string {
	file, err := os.Executable()
	if err != nil {
		fail(70, err.Error())
	}
	return filepath.Join(filepath.Dir(file), name)
}

func takeInput(master *os.File, pid int) {
	for takeFrame(os.Stdin, master) == nil {
	}
	syscall.Kill(-pid, syscall.SIGHUP)
	time.Sleep(hangUpGrace)
	syscall.Kill(-pid, syscall.SIGKILL)
}

func takeFrame(from io.Reader, master *os.File) error {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return err
	}
	length := int64(binary.BigEndian.Uint32(head[1:]))
	if head[0] == 'i' {
		_, err := io.CopyN(master, from, length)
		return err
	}
	var size [2]uint16
	if err := binary.Read(io.LimitReader(from, length), binary.BigEndian, &size); err != nil {
		return err
	}
	shared.ResizeTerminal(master, size[0], size[1])
	return nil
}

func number(text string) uint16 {
	value, _ := strconv.ParseUint(text, 10, 16)
	return uint16(value)
}

func fail(code int, problem string) {
	fmt.Fprintln(os.Stderr, "terminal: "+problem)
	os.Exit(code)
}
