// A Go program whose main waits, as servers do: built without -buildmode=c-shared, it runs when the host only wants its
// runtime started, and Go ends it because nothing can ever wake it.
package main

func main() { select {} }

//go:wasmexport watm_init_v1
func initialize() int32 { return 0 }

//go:wasmexport watm_dial_v1
func dial(int32) int32 { return -52 }

//go:wasmexport watm_ctrlpipe_v1
func ctrlpipe(int32) int32 { return 0 }

//go:wasmexport watm_start_v1
func start() int32 { return 0 }
