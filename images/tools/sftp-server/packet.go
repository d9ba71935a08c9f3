package main

import "encoding/binary"

// reader reads the fields of a packet. It is short once a field was not there, and further fields are empty.
type reader struct {
	bytes   []byte
	isShort bool
}

func (r *reader) take(count uint32) []byte {
	if r.isShort || uint64(count) > uint64(len(r.bytes)) {
		r.isShort = true
		return make([]byte, 8)[:min(count, 8)]
	}
	taken := r.bytes[:count]
	r.bytes = r.bytes[count:]
	return taken
}

func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) string() string { return string(r.take(r.uint32())) }

// newPacket returns a packet with its length.
func newPacket(kind byte, body []byte) []byte {
	packet := binary.BigEndian.AppendUint32(nil, uint32(len(body)+1))
	return append(append(packet, kind), body...)
}

func appendString(to []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(text))), text...)
}
