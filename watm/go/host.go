package main

import (
	"runtime"
	"unsafe"
)

// What the host offers beside WASI. Each returns an fd, or an error number of WASI, negated.

//go:wasmimport env water_dial_fixed
func dialFixed() int32

//go:wasmimport env water_accept
func acceptNext() int32

//go:wasmimport env water_dial
func waterDial(network unsafe.Pointer, networks int32, address unsafe.Pointer, addresses int32) int32

// iovec is where a text lies, in the host's eyes: addresses are 32 bits wide there, and 64 in Go.
type iovec struct{ base, length uint32 }

// dialAddress asks the host to connect to an address of the module's choice; the operator decides whether it may.
func dialAddress(network, address string) int32 {
	texts := [2][]byte{[]byte(network), []byte(address)}
	vectors := new([2]iovec)
	for n, text := range texts {
		vectors[n] = iovec{uint32(uintptr(unsafe.Pointer(unsafe.SliceData(text)))), uint32(len(text))}
	}
	fd := waterDial(unsafe.Pointer(&vectors[0]), 1, unsafe.Pointer(&vectors[1]), 1)
	runtime.KeepAlive(texts)
	return fd
}
