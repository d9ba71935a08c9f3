package main

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// gpus holds the last known use of all GPUs of this container.
type gpus struct {
	every, within time.Duration

	mu     sync.Mutex
	busyAt time.Time
	// The time of the tool's last answer. A tool that hangs in the driver cannot be killed.
	askedAt time.Time
}

// idle returns how long no answer has shown any use, or false if that is unknown.
func (g *gpus) idle() (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	isKnown := !g.busyAt.IsZero() && time.Since(g.askedAt) < 2*(g.every+g.within)
	return time.Since(g.busyAt), isKnown
}

// watch runs the tool that the container runtime puts into every container with GPUs. It prints a percentage on each line.
func (g *gpus) watch() {
	for ; ; time.Sleep(g.every) {
		said, err := g.ask()
		g.mu.Lock()
		g.askedAt = time.Now()
		if err != nil || said == "" {
			g.busyAt = time.Time{}
		} else if strings.Trim(said, "0 \n") != "" || g.busyAt.IsZero() {
			g.busyAt = time.Now()
		}
		g.mu.Unlock()
	}
}

func (g *gpus) ask() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.within)
	defer cancel()
	tool := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
	tool.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	tool.Cancel = func() error { return syscall.Kill(-tool.Process.Pid, syscall.SIGKILL) }
	said, err := tool.Output()
	return string(said), err
}
