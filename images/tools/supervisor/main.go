// The first process of a container, independent of the image's programs. It starts the command of a run and further
// commands, and reaps every child. Separate programs beside it do the work that the first process need not do itself.
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
