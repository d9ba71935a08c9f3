package main

import (
	"encoding/json"
	"io"
	"os"
	"reflect"
	"regexp"
	"syscall"
	"time"
)

// A program that ends at once is not started more often than this.
const servicePause = time.Second

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
	wanted                  wanted
	pid, failures, lastCode int
	isStopped               bool
}

// readAccess goes on with what was wanted before the container was started again.
func (s *supervisor) readAccess() {
	var kept access
	if json.Unmarshal([]byte(startOf(beside("access.json"), mostAsked)), &kept) == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.apply(kept)
	}
}

func (s *supervisor) setAccess(input io.Reader) (int, string) {
	var next access
	if json.NewDecoder(input).Decode(&next) != nil {
		return malformed, "The access did not arrive whole\n"
	}
	for name := range next.Files {
		if !fileName.MatchString(name) {
			return wrongUse, "That is not a name of a file\n"
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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

// apply: what is wanted as it was goes on.
func (s *supervisor) apply(next access) {
	s.revision = next.Revision
	os.Mkdir(beside("access"), 0o700)
	for name, text := range next.Files {
		writeWhole(beside("access", name), []byte(text))
	}
	for name, one := range s.services {
		if !reflect.DeepEqual(one.wanted, next.Services[name]) {
			one.isStopped = true
			s.processes.signal(syscall.SIGTERM, one.pid)
			delete(s.services, name)
		}
	}
	for name, wanted := range next.Services {
		if s.services[name] == nil && len(wanted.Words) > 0 {
			s.services[name] = &service{wanted: wanted}
			go s.keepService(s.services[name])
		}
	}
}

func (s *supervisor) keepService(one *service) {
	null := openNull()
	defer null.Close()
	for ; ; time.Sleep(servicePause) {
		s.mu.Lock()
		if one.isStopped || s.isClosed {
			s.mu.Unlock()
			return
		}
		env := environment(one.wanted.Env)
		pid, ended, err := s.processes.start(one.wanted.Words, env, "", null, null, null)
		one.pid = pid
		s.mu.Unlock()
		begun, code := time.Now(), startCode(err)
		if err == nil {
			code = exitCode(<-ended)
		}
		s.mu.Lock()
		if time.Since(begun) > steadyTime {
			one.failures = 0
		}
		one.failures, one.lastCode = one.failures+1, code
		s.mu.Unlock()
	}
}
