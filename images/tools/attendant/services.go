package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"tools/reading"
	"tools/shared"
)

// A program that ends at once is not started more often than this.
const servicePause = time.Second

// What does not end by itself within this is killed. Whoever asks waits for it, for at most ten seconds.
const serviceGrace = 5 * time.Second

// An answer waits for SSH no longer than this. With serviceGrace it stays below the ten seconds of the client.
const sshStartTime = 3 * time.Second

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
func (a *attendant) readAccess() {
	var kept access
	if json.Unmarshal([]byte(reading.StartOf(shared.Beside("access.json"), shared.MostAsked)), &kept) == nil {
		a.apply(kept)
	}
}

func (a *attendant) setAccess(input *json.Decoder) (int, string) {
	var next access
	if input.Decode(&next) != nil {
		return shared.Malformed, "The access did not arrive whole\n"
	}
	for name := range next.Files {
		if !fileName.MatchString(name) {
			return shared.WrongUse, "That is not a name of a file\n"
		}
	}
	a.accessMu.Lock()
	defer a.accessMu.Unlock()
	// Changed under accessMu alone.
	if next.Revision < a.revision {
		return 0, ""
	}
	data, _ := json.Marshal(next)
	if err := shared.WriteWhole(shared.Beside("access.json"), data); err != nil {
		return shared.NoPlace, err.Error()
	}
	a.apply(next)
	// Berth shows how to connect as soon as it has the answer.
	for end := time.Now().Add(sshStartTime); a.isStarting("ssh") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return 0, ""
}

// isStarting reports whether a service that has not failed yet does not listen.
func (a *attendant) isStarting(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.services[name]
	return one != nil && one.failures == 0 && !one.answers()
}

// apply: what is wanted as it was goes on. The rest has ended before anything is started in its place: two that listen
// on one port would keep each other from it, and the one that ends would answer for the one that begins.
func (a *attendant) apply(next access) {
	os.Mkdir(shared.Beside("access"), 0o700)
	for name, text := range next.Files {
		shared.WriteWhole(shared.Beside("access", name), []byte(text))
	}
	for _, one := range a.stopOthers(next) {
		a.awaitEnd(one)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, wanted := range next.Services {
		if a.services[name] == nil && len(wanted.Words) > 0 {
			a.services[name] = &service{wanted: wanted, stop: make(chan struct{}), ended: make(chan struct{})}
			go a.keepService(a.services[name])
		}
	}
}

func (a *attendant) stopOthers(next access) []*service {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revision = next.Revision
	stopped := []*service{}
	for name, one := range a.services {
		if !reflect.DeepEqual(one.wanted, next.Services[name]) {
			close(one.stop)
			one.signal(syscall.SIGTERM)
			delete(a.services, name)
			stopped = append(stopped, one)
		}
	}
	return stopped
}

func (a *attendant) awaitEnd(one *service) {
	select {
	case <-one.ended:
		return
	case <-time.After(serviceGrace):
	}
	a.mu.Lock()
	one.signal(syscall.SIGKILL)
	a.mu.Unlock()
	<-one.ended
}

func (a *attendant) keepService(one *service) {
	defer close(one.ended)
	// A program dies with the thread that started it, which is this one for as long as the program is wanted.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for a.runService(one) {
		select {
		case <-one.stop:
			return
		case <-time.After(servicePause):
		}
	}
}

// runService returns when the program has ended; false: it is wanted no more.
func (a *attendant) runService(one *service) bool {
	a.mu.Lock()
	select {
	case <-one.stop:
		a.mu.Unlock()
		return false
	default:
	}
	if a.isClosed {
		a.mu.Unlock()
		return false
	}
	program, err := one.wanted.start()
	if err == nil {
		one.pid = program.Process.Pid
	}
	a.mu.Unlock()
	begun, code := time.Now(), shared.StartCode(err)
	if err == nil {
		program.Wait()
		code = shared.ExitCode(program.ProcessState.Sys().(syscall.WaitStatus))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	one.pid = 0
	if time.Since(begun) > steadyTime {
		one.failures = 0
	}
	one.failures, one.lastCode = one.failures+1, code
	return true
}

// start begins a session, which ends with the attendant: the next one would start the same program beside it.
func (w wanted) start() (*exec.Cmd, error) {
	path, words, err := shared.FindProgram(w.Words, "")
	if err != nil {
		return nil, err
	}
	program := &exec.Cmd{Path: path, Args: words, Env: shared.Environment(w.Env)}
	program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return program, program.Start()
}

// answers reports whether the program runs and its port is listened on.
func (one *service) answers() bool {
	return one.pid != 0 && reading.CountSockets(one.wanted.Port, reading.Listening) > 0
}

// signal reaches the group of the program, if it runs.
func (one *service) signal(signal syscall.Signal) {
	if one.pid != 0 {
		syscall.Kill(-one.pid, signal)
	}
}
