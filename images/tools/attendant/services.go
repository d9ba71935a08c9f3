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

// The shortest time between two starts of a program that ends at once.
const servicePause = time.Second

// A program that has not ended after this time is killed. The client waits for it, at most ten seconds.
const serviceGrace = 5 * time.Second

// The longest wait of an answer for SSH. With serviceGrace it stays below the client's ten seconds.
const sshStartTime = 3 * time.Second

// A program that ran for this long has started successfully. Its earlier failures no longer count.
const steadyTime = time.Minute

var fileName = regexp.MustCompile(`^[a-z_]+$`)

// access holds the files for access, such as SSH keys, and the programs to run. A higher revision is a later request.
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

// service is a program that is restarted whenever it ends, until it is no longer wanted.
type service struct {
	wanted             wanted
	failures, lastCode int
	// 0 while the program does not run.
	pid         int
	stop, ended chan struct{}
}

// readAccess restores the access from before a container restart.
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
	// Changed only under accessMu.
	if next.Revision < a.revision {
		return 0, ""
	}
	data, _ := json.Marshal(next)
	if err := shared.WriteWhole(shared.Beside("access.json"), data); err != nil {
		return shared.NoPlace, err.Error()
	}
	a.apply(next)
	// Berth shows the ssh_command as soon as it has the answer.
	for end := time.Now().Add(sshStartTime); a.isStarting("ssh") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return 0, ""
}

// isStarting reports whether a service that has not failed does not listen yet.
func (a *attendant) isStarting(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.services[name]
	return one != nil && one.failures == 0 && !one.answers()
}

// apply keeps unchanged services running. It waits for the end of the others before it starts their successors. Two programs
// on one port would block each other, and the ending one would answer for the new one.
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
	// A program dies with the thread that started it, so this thread lives as long as the program is wanted.
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

// runService returns when the program has ended, with false if it is no longer wanted.
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

// start begins a session that ends with the attendant. Otherwise the next attendant would start the program again beside it.
func (w wanted) start() (*exec.Cmd, error) {
	path, words, err := shared.FindProgram(w.Words, "")
	if err != nil {
		return nil, err
	}
	program := &exec.Cmd{Path: path, Args: words, Env: shared.Environment(w.Env), Dir: shared.DiskHome()}
	program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return program, program.Start()
}

// answers reports whether the program runs and listens on its port.
func (one *service) answers() bool {
	return one.pid != 0 && reading.CountSockets(one.wanted.Port, reading.Listening) > 0
}

// signal signals the program's group, if the program runs.
func (one *service) signal(signal syscall.Signal) {
	if one.pid != 0 {
		syscall.Kill(-one.pid, signal)
	}
}
