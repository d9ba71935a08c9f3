package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// namesInZip converts names for a zip, as packages/process/volumes/zip.ts does. Bytes that are not UTF-8 are percent-encoded
// (RFC 3986 section 2.1). So are backslashes and `C:`, which Windows programs read as a folder and a disk. Converted names
// are unique, and valid names stay unchanged.
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
