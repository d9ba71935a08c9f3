package main

import (
	"io"
	"os"
	"time"
)

// The time for remaining output after the end of a program in a terminal. Its children may keep the terminal open.
const lastWordsGrace = 200 * time.Millisecond

// More than a terminal holds.
const mostLastWords = 64 * 1024

// send passes on output until it ends. A terminal has no standard error.
func (p *program) send(kind byte, from *os.File, isSent chan<- struct{}) {
	if from != nil {
		p.stream.Send(kind, &lastWords{p, from, 0})
	}
	p.stream.SendEnd(kind)
	close(isSent)
}

// lastWords limits the wait for output of a terminal whose program has ended. The time that a slow client takes to accept
// output does not count.
type lastWords struct {
	*program
	from *os.File
	// Bytes after the end of the program.
	length int
}

func (l *lastWords) Read(bytes []byte) (int, error) {
	l.ending.Lock()
	isLate := l.hasEnded && l.program.errors == nil
	l.ending.Unlock()
	if !isLate {
		return l.from.Read(bytes)
	}
	if l.length > mostLastWords {
		return 0, io.EOF
	}
	l.from.SetReadDeadline(time.Now().Add(lastWordsGrace))
	length, err := l.from.Read(bytes)
	l.length += length
	return length, err
}
