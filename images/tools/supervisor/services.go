package main

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"syscall"
	"time"
)

// A program that ends at once is not started more often than this.
const servicePause = time.Second

// What does not end by itself within this is killed. Whoever asks waits for it, for at most ten seconds.
const serviceGrace = 5 * time.Second

// What ran for so long could be started: it has failed once, however often it did before.
const steadyTime = time.Minute

var fileName = regexp.MustCompile(`^[a-z_]+$`)

// access is who may enter and what is served: files, such as the keys of SSH, and programs that are to run. A higher
// revision is of what was wanted later.
type access struct {
	Revision int               `json:"revision"`
	Files    map[string]string `json:"files"`
	Services map[string]wanted `json:"services"`
}

type wanted struct {
	Words []string          `json:"words"`
	Env   map[string]string `json:"env"`
	Port  int               `json:"port"`
}

// service is a program that is started again whenever it ends, until it is wanted no more.
type service struct {
	wanted             wanted
	failures, lastCode int
	// 0 while it does not run.
	pid         int
	stop, ended chan struct{}
}

// readAccess goes on with what was wanted before the container was started again.
func (s *supervisor) readAccess() {
	var kept access
	if json.Unmarshal([]byte(startOf(beside("access.json"), mostAsked)), &kept) == nil {
		s.apply(kept)
	}
}

func (s *supervisor) setAccess(input *json.Decoder) (int, string) {
	var next access
	if input.Decode(&next) != nil {
		return malformed, "The access did not arrive whole\n"
	}
	for name := range next.Files {
		if !fileName.MatchString(name) {
			return wrongUse, "That is not a name of a file\n"
		}
	}
	s.accessMu.Lock()
	defer s.accessMu.Unlock()
	// Changed under accessMu alone.
	if next.Revision < s.revision {
		return 0, ""
	}
	data, _ := json.Marshal(next)
	if err := writeWhole(beside("access.json"), data); err != nil {
		return noPlace, err.Error()
	}
	s.apply(next)
	return 0, ""
}

// apply: what is wanted as it was goes on. The rest has ended before anything is started in its place: two that listen
// on one port would keep each other from it, and the one that ends would answer for the one that begins.
func (s *supervisor) apply(next access) {
	os.Mkdir(beside("access"), 0o700)
	for name, text := range next.Files {
		writeWhole(beside("access", name), []byte(text))
	}
	for _, one := range s.stopOthers(next) {
		s.awaitEnd(one)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, wanted := range next.Services {
		if s.services[name] == nil && len(wanted.Words) > 0 {
			s.services[name] = &service{wanted: wanted, stop: make(chan struct{}), ended: make(chan struct{})}
			go s.keepService(s.services[name])
		}
	}
}

func (s *supervisor) stopOthers(next access) []*service {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision = next.Revision
	stopped := []*service{}
	for name, one := range s.services {
		if !reflect.DeepEqual(one.wanted, next.Services[name]) {
			close(one.stop)
			s.processes.signal(syscall.SIGTERM, one.pid)
			delete(s.services, name)
			stopped = append(stopped, one)
		}
	}
	return stopped
}

func (s *supervisor) awaitEnd(one *service) {
	select {
	case <-one.ended:
		return
	case <-time.After(serviceGrace):
	}
	s.mu.Lock()
	s.processes.signal(syscall.SIGKILL, one.pid)
	s.mu.Unlock()
	<-one.ended
}

func (s *supervisor) keepService(one *service) {
	defer close(one.ended)
	for s.runService(one) {
		select {
		case <-one.stop:
			return
		case <-time.After(servicePause):
		}
	}
}

// runService returns when the program has ended; false: it is wanted no more.
func (s *supervisor) runService(one *service) bool {
	s.mu.Lock()
	select {
	case <-one.stop:
		s.mu.Unlock()
		return false
	default:
	}
	if s.isClosed {
		s.mu.Unlock()
		return false
	}
	env := environment(one.wanted.Env)
	pid, ended, err := s.processes.start(one.wanted.Words, env, "")
	one.pid = pid
	s.mu.Unlock()
	begun, code := time.Now(), startCode(err)
	if err == nil {
		code = exitCode(<-ended)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one.pid = 0
	if time.Since(begun) > steadyTime {
		one.failures = 0
	}
	one.failures, one.lastCode = one.failures+1, code
	return true
}
