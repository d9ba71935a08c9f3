package main

import (
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
		if number, err := strconv.Atoi(port); err != nil || !isListening(number) {
			return false
		}
	}
	return s.begun
}

// To dial a port would be a visitor for who serves it.
func isListening(port int) bool {
	return countSockets(port, "0A") > 0
}

// countSockets: the second field of a line is the local address and the fourth the state, of which 0A is LISTEN and 01
// ESTABLISHED (proc(5)).
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

// status is what the driver shows of a run beside its pod. Without `gpuIdleSeconds` nobody knows of any use of GPUs.
func (s *supervisor) status() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	services := map[string]any{}
	for name, one := range s.services {
		answers := one.pid != 0 && isListening(one.wanted.Port)
		services[name] = map[string]any{"failures": one.failures, "lastCode": one.lastCode, "answers": answers}
	}
	told := map[string]any{"revision": s.revision, "services": services}
	if !s.gpuBusyAt.IsZero() {
		told["gpuIdleSeconds"] = int(time.Since(s.gpuBusyAt).Seconds())
	}
	return told
}

// watchGpus asks the tool that the container runtime puts into every container with GPUs: a percentage on each line.
func (s *supervisor) watchGpus() {
	var busyAt time.Time
	for ; ; time.Sleep(s.gpuEvery) {
		said := s.gpuUse()
		if said == "" || strings.Trim(said, "0 \n") != "" || busyAt.IsZero() {
			busyAt = time.Now()
		}
		s.mu.Lock()
		if s.gpuBusyAt = busyAt; said == "" {
			s.gpuBusyAt = time.Time{}
		}
		s.mu.Unlock()
	}
}

// gpuUse is empty where nobody knows.
func (s *supervisor) gpuUse() string {
	file, err := os.Create(beside("gpus"))
	if err != nil {
		return ""
	}
	defer file.Close()
	null := openNull()
	defer null.Close()
	words := []string{"nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"}
	_, ended, err := s.processes.start(words, os.Environ(), "", null, file, null)
	if err != nil || exitCode(<-ended) != 0 {
		return ""
	}
	return startOf(file.Name(), mostInPath)
}
