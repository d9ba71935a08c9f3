package main

// keptSize is the output that a terminal keeps. It is more than the window and one read, so a viewer can return.
const keptSize = 256 << 10

// kept has the last output, by its offset.
type kept struct {
	bytes []byte
	end   int64
}

// add trims seldom, so that few bytes move. It leaves what a viewer who has just returned was not sent yet.
func (k *kept) add(part []byte) {
	k.bytes = append(k.bytes, part...)
	k.end += int64(len(part))
	if len(k.bytes) > 2*keptSize {
		k.bytes = append(k.bytes[:0], k.bytes[len(k.bytes)-keptSize-window:]...)
	}
}

func (k *kept) slice(from, to int64) []byte {
	start := k.end - int64(len(k.bytes))
	return k.bytes[from-start : to-start]
}

func (k *kept) clamp(offset int64) int64 {
	return min(k.end, max(offset, k.end-min(keptSize, int64(len(k.bytes)))))
}
