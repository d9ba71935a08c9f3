// The first process of a container whose image need not contain any program of ours: it starts the command of a run and
// those that are asked for beside it, and waits for whatever ends. What the first process need not do itself is done by
// programs of their own beside it.
package main

import (
	"os"
	"syscall"

	"tools/shared"
)

func main() {
	if len(os.Args) < 2 {
		shared.Fail(shared.WrongUse, "usage: supervisor install|run|exec|read|count|work|attend|open|ready|access|status")
	}
	if os.Args[1] == "run" {
		os.Exit(run(os.Args[2:]))
	}
	shared.Must(syscall.Exec(shared.Beside("ask"), append([]string{"ask"}, os.Args[1:]...), os.Environ()))
}
