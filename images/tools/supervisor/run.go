package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"tools/shared"
)

// The part of the grace period for the termination message, after the command's own time.
const lastPart = 2 * time.Second

// supervisor is the first process of a container.
type supervisor struct {
	grace              time.Duration
	ports, list, ended string
	words              []string
	processes          *processes
	opened             chan struct{}
	opening            sync.Once

	mu       sync.Mutex
	begun    bool
	isClosed bool
	sessions int
}

// lastWords is the container's termination message, which the driver reads.
type lastWords struct {
	Started  bool   `json:"started"`
	ExitCode *int   `json:"exitCode,omitempty"`
	Signal   int    `json:"signal,omitempty"`
	Problem  string `json:"problem,omitempty"`
	Files    string `json:"files,omitempty"`
}

// run starts the command and returns its exit code. Without a command it runs until it receives a signal to end.
func run(args []string) int {
	s := &supervisor{opened: make(chan struct{})}
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	flags.DurationVar(&s.grace, "grace", 10*time.Second, "from SIGTERM to SIGKILL")
	flags.StringVar(&s.ports, "ports", "", "what it serves: 8080,9000")
	flags.StringVar(&s.list, "list", "", "a directory whose files are listed in the last words")
	flags.StringVar(&s.ended, "ended", "/dev/termination-log", "where the last words go")
	attended := flags.String("attended", "", "what the attendant is started with: --gpu-every=5s")
	gated := flags.Bool("gated", false, "the command waits for `supervisor open`")
	flags.Parse(args)
	s.words = flags.Args()

	lock, err := os.OpenFile(shared.Beside("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	shared.Must(err)
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		shared.Fail(shared.NoPlace, "Another supervisor runs here")
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	shared.Must(err)
	moveHome()
	s.processes = &processes{waiting: map[int]chan syscall.WaitStatus{}, null: null}
	children, signals := make(chan os.Signal, 1), make(chan os.Signal, 32)
	signal.Notify(children, syscall.SIGCHLD)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	// Handled and not ignored, because every command would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		for range children {
			s.processes.reap()
		}
	}()
	if !*gated || shared.IsFile(shared.Beside("opened")) {
		s.opening.Do(s.open)
	}
	settle()
	go s.keepAttendant(strings.Fields(*attended))
	shared.Must(shared.Serve("socket", s.answer))
	return s.live(signals)
}

// The shortest time between two starts of a program that ends at once.
const attendantPause = time.Second

// keepAttendant restarts the attendant whenever it ends. The attendant reads from a pipe without a writer, and learns from its
// end that this process has ended.
func (s *supervisor) keepAttendant(flags []string) {
	reader, writer, err := os.Pipe()
	shared.Must(err)
	defer writer.Close()
	for ; !s.hasClosed(); time.Sleep(attendantPause) {
		_, ended, err := s.processes.start(append([]string{shared.Beside("attendant")}, flags...), os.Environ(), "", reader)
		if err == nil {
			<-ended
		}
	}
}

func (s *supervisor) hasClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isClosed
}

// open lets the command begin. It first records that, so that a restarted container does not wait.
func (s *supervisor) open() {
	shared.WriteWhole(shared.Beside("opened"), nil)
	close(s.opened)
}

func (s *supervisor) live(signals <-chan os.Signal) int {
	var ended <-chan syscall.WaitStatus
	var late <-chan time.Time
	pid, opened := 0, s.opened
	for {
		select {
		case <-opened:
			opened = nil
			if len(s.words) > 0 {
				var err error
				pid, ended, err = s.processes.start(s.words, os.Environ(), "", s.processes.null, os.Stdout, os.Stderr)
				if err != nil {
					return s.neverStarted(shared.StartCode(err), err.Error())
				}
			}
			s.mu.Lock()
			s.begun = true
			s.mu.Unlock()
		case status := <-ended:
			return s.finish(status)
		case <-late:
			s.processes.signal(syscall.SIGKILL, pid)
		case got := <-signals:
			if got != syscall.SIGTERM && got != syscall.SIGINT {
				s.processes.signal(got.(syscall.Signal), pid)
				continue
			}
			s.refuse()
			s.processes.signal(syscall.SIGTERM)
			if opened != nil {
				return s.neverStarted(143, "It was ended before all of its machines were there")
			}
			if pid == 0 {
				return s.finish(0)
			}
			late = time.After(max(s.grace-lastPart, s.grace/2))
		}
	}
}

func (s *supervisor) finish(status syscall.WaitStatus) int {
	code := shared.ExitCode(status)
	words := lastWords{Started: true, ExitCode: &code}
	if status.Signaled() {
		words = lastWords{Started: true, Signal: int(status.Signal())}
	}
	return s.end(code, words)
}

func (s *supervisor) neverStarted(code int, problem string) int {
	fmt.Fprintln(os.Stderr, "supervisor: "+problem)
	return s.end(code, lastWords{Problem: strings.ToValidUTF8(problem[:min(len(problem), 300)], "?")})
}

// refuse stops all further starts.
func (s *supervisor) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isClosed = true
}

// end ends every process, writes the termination message, and lets the runtime read the output.
func (s *supervisor) end(code int, words lastWords) int {
	within := readWithin
	if s.hasClosed() {
		within = readWithinGrace
	}
	s.refuse()
	s.processes.killAll()
	deadline := time.Now().Add(within)
	if s.list != "" && words.Started {
		words.Files, _ = s.processes.outputOf(lastPart/2, shared.Beside("files"), "--packed", s.list)
	}
	line, _ := json.Marshal(words)
	os.WriteFile(s.ended, line, 0o600)
	awaitReaders(deadline, os.Stdout, os.Stderr)
	return code
}
