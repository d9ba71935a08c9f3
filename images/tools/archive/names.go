package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// namesInZip are names as a zip may hold them, as packages/process/volumes/zip.ts writes them: text, so that bytes which are none
// (UTF-8) are written as in an address (RFC 3986 section 2.1); programs that unpack on Windows take a backslash for a
// folder and `C:` for a disk, so those are written that way too. Each has another one, and what may stay as it is does.
func namesInZip(names []string) []string {
	written, taken := make([]string, len(names)), map[string]bool{}
	for n, name := range names {
		written[n] = nameInZip(name)
		if written[n] == name {
			taken[name] = true
		}
	}
	counts := map[string]int{}
	for n, name := range names {
		if written[n] == name {
			continue
		}
		text, free := written[n], written[n]
		for count := max(counts[text], 1); taken[free]; {
			count++
			free = fmt.Sprintf("%s~%d", text, count)
			counts[text] = count
		}
		taken[free] = true
		written[n] = free
	}
	return written
}

var disk = regexp.MustCompile(`^([A-Za-z]):`)

func nameInZip(name string) string {
	text := name
	if !utf8.ValidString(name) {
		var escaped bytes.Buffer
		for n := range len(name) {
			if name[n] < utf8.RuneSelf {
				escaped.WriteByte(name[n])
			} else {
				fmt.Fprintf(&escaped, "%%%02X", name[n])
			}
		}
		text = escaped.String()
	}
	return disk.ReplaceAllString(strings.ReplaceAll(text, `\`, "%5C"), "$1%3A")
}
