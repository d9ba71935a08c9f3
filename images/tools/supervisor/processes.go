package main

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tools/shared"
)

// processes starts programs and reaps every child, including orphans that the kernel gave to the first process. No other
// code may wait for a child, so os/exec must not start programs here.
type processes struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
	null    *os.File
}

// start begins a session, whose group has the number of its first process. The channel receives the end of that process. A
// stream without a file is empty.
func (p *processes) start(words, env []string, directory string, files ...*os.File) (int, <-chan syscall.WaitStatus, error) {
	path, words, err := shared.FindProgram(words, directory)
	if err != nil {
		return 0, nil, err
	}
	attr := &syscall.ProcAttr{Dir: directory, Env: env, Sys: &syscall.SysProcAttr{Setsid: true}}
	for _, file := range append(files, p.null, p.null, p.null)[:3] {
		attr.Files = append(attr.Files, file.Fd())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(path, words, attr)
	if err != nil {
		return 0, nil, err
	}
	p.waiting[pid] = make(chan syscall.WaitStatus, 1)
	return pid, p.waiting[pid], nil
}

// outputOf returns a program's output, unless the program fails or exceeds the time limit.
func (p *processes) outputOf(within time.Duration, words ...string) (string, bool) {
	path := shared.Beside(filepath.Base(words[0]) + ".out")
	file, err := os.Create(path)
	if err != nil {
		return "", false
	}
	defer os.Remove(path)
	defer file.Close()
	pid, ended, err := p.start(words, os.Environ(), "", p.null, file)
	if err != nil {
		return "", false
	}
	defer time.AfterFunc(within, func() { p.signal(syscall.SIGKILL, pid) }).Stop()
	isDone := shared.ExitCode(<-ended) == 0
	said, err := os.ReadFile(path)
	return string(said), isDone && err == nil
}

// reap runs at each SIGCHLD. Several signals may arrive as one.
func (p *processes) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if pid <= 0 && err != syscall.EINTR {
			return
		}
		if ended, ok := p.waiting[pid]; ok {
			ended <- status
			delete(p.waiting, pid)
		}
	}
}

// signal signals the groups of these processes, or of all. A reaped process's number may belong to another one.
func (p *processes) signal(signal syscall.Signal, pids ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pid := range p.waiting {
		if len(pids) == 0 || pids[0] == pid {
			syscall.Kill(-pid, signal)
		}
	}
}

// killAll kills all remaining processes of the container, and waits a moment for their end.
func (p *processes) killAll() {
	p.signal(syscall.SIGKILL)
	if os.Getpid() == 1 {
		syscall.Kill(-1, syscall.SIGKILL)
	}
	for tries := 0; tries < 500; tries++ {
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid < 0 && err == syscall.ECHILD {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
