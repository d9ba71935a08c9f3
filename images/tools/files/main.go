// Lists every file below a directory in the form of `ls -R`, without following links: `files <directory>`. With `--packed`
// it prints a compressed beginning that fits into a termination message. It reads no more than it lists.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

const mostBytes = 1 << 20
const mostBeforePacking = 1 << 16

// A container's message has 4,096 bytes (Kubernetes, "Customizing the termination message"), and other text needs some.
const mostPacked = 3_600

// The end of a run waits for this.
const within = 800 * time.Millisecond

const cut = "The rest is left out\n"

func main() {
	switch {
	case len(os.Args) == 2:
		fmt.Print(list(os.Args[1], mostBytes))
	case len(os.Args) == 3 && os.Args[1] == "--packed":
		fmt.Print(packed(list(os.Args[2], mostBeforePacking)))
	default:
		fmt.Fprintln(os.Stderr, "usage: files [--packed] <directory>")
		os.Exit(64)
	}
}

// list begins with the directory itself; each directory is followed by its subdirectories.
func list(root string, most int) string {
	late := time.Now().Add(within)
	var text strings.Builder
	waiting := []string{"."}
	for len(waiting) > 0 {
		path := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		entries := entriesOf(filepath.Join(root, path), most-text.Len())
		part := printed(path) + ":\n"
		if text.Len() > 0 {
			part = "\n" + part
		}
		below := len(waiting)
		for _, entry := range entries {
			part += printed(entry.Name()) + "\n"
			if entry.IsDir() {
				waiting = slices.Insert(waiting, below, path+"/"+entry.Name())
			}
		}
		if text.Len()+len(part)+len(cut) > most || time.Now().After(late) {
			return lines(text.String()+part, most-len(cut)) + cut
		}
		text.WriteString(part)
	}
	return text.String()
}

// entriesOf omits hidden entries, and reads no more than it can list.
func entriesOf(directory string, most int) []os.DirEntry {
	var entries []os.DirEntry
	file, err := os.Open(directory)
	if err != nil {
		return nil
	}
	defer file.Close()
	for most > 0 {
		some, _ := file.ReadDir(256)
		if len(some) == 0 {
			break
		}
		for _, entry := range some {
			if !strings.HasPrefix(entry.Name(), ".") {
				entries = append(entries, entry)
				most -= len(entry.Name()) + 1
			}
		}
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// printed returns a printable name. A name may hold any character except a slash; those that move a cursor become `?`.
func printed(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, name)
}

// lines returns as many whole lines as fit.
func lines(text string, most int) string {
	text = text[:max(0, min(len(text), most))]
	return text[:strings.LastIndexByte(text, '\n')+1]
}

func packed(text string) string {
	for {
		var packed bytes.Buffer
		writer, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		writer.Write([]byte(text))
		writer.Close()
		if line := base64.StdEncoding.EncodeToString(packed.Bytes()); len(line) <= mostPacked {
			return line
		}
		text = lines(text, len(text)*3/4-len(cut)) + cut
	}
}
