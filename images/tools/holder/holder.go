package main

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"tools/shared"
)

// lastWordsGrace is the time for remaining output after the end of the program. Its children may keep the terminal open.
const lastWordsGrace = 200 * time.Millisecond

// mostLastWords is more output than a terminal of Linux holds.
const mostLastWords = 64 << 10

// closedPause is the time between two reads of a terminal that its program has closed and may open again.
const closedPause = 50 * time.Millisecond

// mostTyped is the most input of all viewers that the terminal has not taken.
const mostTyped = 4 * window

const (
	isRunning = iota
	// The program has ended, and its output may not be complete.
	isEnding
	isEnded
)

// holder is one terminal. mu guards all fields below it, and changed reports each of their changes.
type holder struct {
	master           *os.File
	wait             times
	over             chan struct{}
	mu               sync.Mutex
	changed          *sync.Cond
	kept             kept
	viewer           *viewer
	typed            []typed
	typedSize        int
	state            int
	exitCode         int
	isOver           bool
	timer            *time.Timer
	outputIsComplete chan struct{}
}

type typed struct {
	from  *viewer
	bytes []byte
}

func newHolder(master *os.File, wait times) *holder {
	h := &holder{master: master, wait: wait}
	h.over, h.outputIsComplete = make(chan struct{}), make(chan struct{})
	h.changed = sync.NewCond(&h.mu)
	h.timer = time.AfterFunc(wait.unseen, h.expire)
	go h.readOutput()
	go h.writeInput()
	return h
}

func (h *holder) isRunning() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state == isRunning
}

// readOutput lets the program wait while its viewer does not acknowledge.
func (h *holder) readOutput() {
	defer close(h.outputIsComplete)
	buffer, lastWords := make([]byte, 32<<10), 0
	for lastWords < mostLastWords {
		h.mu.Lock()
		for h.viewer != nil && h.kept.end-h.viewer.acked >= window {
			h.changed.Wait()
		}
		isLast := h.state != isRunning
		h.mu.Unlock()
		if isLast {
			h.master.SetReadDeadline(time.Now().Add(lastWordsGrace))
		}
		size, err := h.master.Read(buffer)
		h.mu.Lock()
		h.kept.add(buffer[:size])
		h.changed.Broadcast()
		h.mu.Unlock()
		if isLast {
			lastWords += size
		}
		if err != nil && isLast {
			return
		}
		if err != nil {
			time.Sleep(closedPause)
		}
	}
}

// writeInput goes on with the input of a viewer who has left.
func (h *holder) writeInput() {
	for {
		h.mu.Lock()
		for len(h.typed) == 0 {
			h.changed.Wait()
		}
		next := h.typed[0]
		h.typed = h.typed[1:]
		h.mu.Unlock()
		// An error means that the program has ended.
		h.master.Write(next.bytes)
		h.mu.Lock()
		h.typedSize -= len(next.bytes)
		next.from.untaken -= len(next.bytes)
		next.from.taken += len(next.bytes)
		h.changed.Broadcast()
		h.mu.Unlock()
	}
}

func (h *holder) waitFor(command *exec.Cmd) {
	command.Wait()
	h.setState(isEnding, shared.ExitCode(command.ProcessState.Sys().(syscall.WaitStatus)))
	// A read that began before has no deadline yet.
	h.master.SetReadDeadline(time.Now().Add(lastWordsGrace))
	<-h.outputIsComplete
	h.setState(isEnded, h.exitCode)
}

func (h *holder) setState(state, exitCode int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state, h.exitCode = state, exitCode
	if h.viewer == nil {
		h.await()
	}
	h.changed.Broadcast()
}

// await ends the terminal unless a viewer comes in time. The caller holds mu.
func (h *holder) await() {
	h.timer.Stop()
	wait := h.wait.unseen
	if h.state == isEnded {
		wait = h.wait.ended
	}
	h.timer = time.AfterFunc(wait, h.expire)
}

func (h *holder) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.viewer == nil {
		h.finish()
	}
}

// finish ends the terminal. The caller holds mu.
func (h *holder) finish() {
	if !h.isOver {
		h.isOver = true
		close(h.over)
	}
}
