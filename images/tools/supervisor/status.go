package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// isReady: the command has begun, and something listens on each port that it serves.
func (s *supervisor) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, port := range strings.FieldsFunc(s.ports, func(r rune) bool { return r == ',' }) {
		if number, err := strconv.Atoi(port); err != nil || countSockets(number, listening) == 0 {
			return false
		}
	}
	return s.begun
}

// Of a socket (proc(5)). To dial a port would be a visitor for who serves it.
const (
	established = "01"
	listening   = "0A"
)

// countSockets: the second field of a line is the local address and the fourth the state.
func countSockets(port int, state string) int {
	count := 0
	table, _ := os.ReadFile("/proc/net/tcp")
	table6, _ := os.ReadFile("/proc/net/tcp6")
	for _, line := range strings.Split(string(table)+string(table6), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[3] == state && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			count++
		}
	}
	return count
}

// count is of those at work: commands and terminals, and whoever is connected by SSH.
func (s *supervisor) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ssh, ok := s.services["ssh"]; ok {
		return s.sessions + countSockets(ssh.wanted.Port, established)
	}
	return s.sessions
}

func (s *supervisor) addSessions(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions += more
}

// status is what the driver shows of a run beside its pod. Without `gpuIdleSeconds` nobody knows of any use of GPUs.
func (s *supervisor) status() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	services := map[string]any{}
	for name, one := range s.services {
		answers := one.pid != 0 && countSockets(one.wanted.Port, listening) > 0
		services[name] = map[string]any{"failures": one.failures, "lastCode": one.lastCode, "answers": answers}
	}
	told := map[string]any{"revision": s.revision, "services": services}
	if !s.gpuBusyAt.IsZero() && time.Since(s.gpuAskedAt) < 2*(s.gpuEvery+s.gpuWithin) {
		told["gpuIdleSeconds"] = int(time.Since(s.gpuBusyAt).Seconds())
	}
	line, _ := json.Marshal(told)
	return string(line) + "\n"
}

// watchGpus asks the tool that the container runtime puts into every container with GPUs: a percentage on each line.
func (s *supervisor) watchGpus() {
	words := []string{"nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"}
	for ; ; time.Sleep(s.gpuEvery) {
		said, isKnown := s.processes.outputOf(s.gpuWithin, words...)
		s.mu.Lock()
		s.gpuAskedAt = time.Now()
		if !isKnown || said == "" {
			s.gpuBusyAt = time.Time{}
		} else if strings.Trim(said, "0 \n") != "" || s.gpuBusyAt.IsZero() {
			s.gpuBusyAt = time.Now()
		}
		s.mu.Unlock()
	}
}
