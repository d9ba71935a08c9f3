package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tools/reading"
)

// A kernel without any client so far stays `starting` for ever.
const kernelStarts = 10 * time.Minute

const mostKernelBytes = 1 << 20

// kernel is an entry of Jupyter's list.
type kernel struct {
	State        string    `json:"execution_state"`
	LastActivity time.Time `json:"last_activity"`
}

// work counts work without a connection: terminals with a foreground program, and kernels. It returns `unknown` if Jupyter
// listens but does not answer, because a kernel may be training.
func (a *attendant) work() string {
	count := busyTerminals(os.Getppid())
	if port, token, isOn := a.jupyter(); isOn && count == 0 {
		kernels, err := busyKernels(port, token)
		if err != nil {
			return "unknown\n"
		}
		count = kernels
	}
	return fmt.Sprintln(count)
}

// jupyter returns the address where Jupyter listens, if any. Before that it has no kernel.
func (a *attendant) jupyter() (port int, token string, isOn bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.services["jupyter"]
	if one == nil || one.pid == 0 || reading.CountSockets(one.wanted.Port, reading.Listening) == 0 {
		return 0, "", false
	}
	return one.wanted.Port, one.wanted.Env["JUPYTER_TOKEN"], true
}

func busyKernels(port int, token string) (int, error) {
	client := http.Client{Timeout: 2 * time.Second}
	request, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/api/kernels", port), nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "token "+token)
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", answer.StatusCode)
	}
	var kernels []kernel
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostKernelBytes)).Decode(&kernels); err != nil {
		return 0, err
	}
	if kernels == nil {
		return 0, fmt.Errorf("no list")
	}
	count := 0
	for _, one := range kernels {
		isLate := time.Since(one.LastActivity) > kernelStarts && !one.LastActivity.IsZero()
		if one.State == "busy" || (one.State != "idle" && one.State != "dead" && !isLate) {
			count++
		}
	}
	return count, nil
}

// busyTerminals counts descendants of a process that lead a terminal's session but are not its foreground group
// (tcgetpgrp(3)). A shell at its prompt is that group itself.
func busyTerminals(root int) int {
	parents, leaders := map[int]int{}, []int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, _ := os.ReadFile(file)
		pid := reading.Number(filepath.Base(filepath.Dir(file)))
		// The second field of proc(5) may hold any characters.
		fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
		if len(fields) < 6 {
			continue
		}
		parents[pid] = reading.Number(fields[1])
		group, session, terminal, foreground := fields[2], fields[3], fields[4], fields[5]
		if reading.Number(session) == pid && terminal != "0" && reading.Number(foreground) > 0 && foreground != group {
			leaders = append(leaders, pid)
		}
	}
	count := 0
	for _, pid := range leaders {
		for pid != root && pid != 0 {
			pid = parents[pid]
		}
		if pid == root {
			count++
		}
	}
	return count
}
