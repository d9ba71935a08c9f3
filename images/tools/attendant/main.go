// Runs the services of a run, watches its GPUs, and limits the files of its further commands. The supervisor restarts it
// whenever it ends.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"tools/reading"
	"tools/shared"
)

// How long the result of a command is kept.
const keptFor = time.Hour

type attendant struct {
	gpus gpus
	// Held during a change of access, so that changes run one after another.
	accessMu sync.Mutex

	mu       sync.Mutex
	isClosed bool
	services map[string]*service
	revision int
}

func main() {
	a := &attendant{services: map[string]*service{}}
	flag.DurationVar(&a.gpus.every, "gpu-every", 5*time.Second, "how often the use of GPUs is asked for")
	flag.DurationVar(&a.gpus.within, "gpu-within", 20*time.Second, "an answer about GPUs that comes later is none")
	flag.Parse()
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM)
	go func() {
		// The pipe has no writer, so its end means that the supervisor is gone. The next supervisor starts a new attendant.
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	go func() {
		for range time.Tick(time.Second) {
			tidy()
		}
	}()
	go a.gpus.watch()
	a.readAccess()
	shared.Must(shared.Serve("attendant.socket", a.answer))
	<-ending
	a.refuse()
	// The supervisor grants the services their time, and then kills the rest.
	select {}
}

func (a *attendant) answer(asked []string, input *json.Decoder, _ net.Conn) (int, string) {
	switch asked[0] {
	case "access":
		return a.setAccess(input)
	case "status":
		return 0, a.status()
	case "work":
		return 0, a.work()
	}
	return shared.WrongUse, "That is no question\n"
}

// refuse asks all services to end, and stops further starts.
func (a *attendant) refuse() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.isClosed = true
	for _, one := range a.services {
		one.signal(syscall.SIGTERM)
	}
}

// status is a run's state for the driver, beside its pod. Without `gpuIdleSeconds` the use of GPUs is unknown.
func (a *attendant) status() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	services := map[string]any{}
	for name, one := range a.services {
		services[name] = map[string]any{"failures": one.failures, "lastCode": one.lastCode, "answers": one.answers()}
	}
	told := map[string]any{"revision": a.revision, "services": services}
	if idle, isKnown := a.gpus.idle(); isKnown {
		told["gpuIdleSeconds"] = int(idle.Seconds())
	}
	line, _ := json.Marshal(told)
	return string(line) + "\n"
}

// tidy truncates files that grow without end, also those of a command's children. It removes commands that ended an hour ago,
// whose clients have read the result.
func tidy() {
	files, _ := filepath.Glob(shared.Beside("commands", "*", "*"))
	for _, file := range files {
		info, err := os.Lstat(file)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		home, name := filepath.Split(file)
		if name == "end" && time.Since(info.ModTime()) > keptFor {
			os.RemoveAll(home)
		} else if strings.HasPrefix(name, "std") && info.Size() > 8*reading.KeptBytes {
			os.Truncate(file, reading.KeptBytes+1)
		}
	}
}
