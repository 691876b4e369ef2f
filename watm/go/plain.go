// The transport that passes bytes as they are, in standard Go: every role, and an example to start from.
//
// The host makes one instance of this module for each connection, calls init, a role, the control pipe and start, in
// that order, and drops the instance when start has returned. Both connections are fds, and package net makes ordinary
// connections of them: a read that has to wait parks its goroutine, and Go's own poller waits for all of them in one
// poll_oneoff. So blocking code, deadlines and goroutines work as everywhere; package net can neither dial nor listen.
//
// It must be built as a reactor, with -buildmode=c-shared (see languages.sh): the host calls _initialize, which starts
// Go's runtime, and main never runs. Built as a command, it would have exited before the first call.
//
// Configuration: none, or for the roles in which the module knows where to, a network and an address ("tcp
// 192.0.2.1:443"). That text is the whole file; a real transport reads JSON.
package main

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// What this instance holds of its one connection.
var (
	where        string   // the configuration, empty if there is none
	inner, outer net.Conn // the application's end and the network's
	control      *os.File // on which the host cancels
)

// canceled is what start returns when the host has cancelled; WASI numbers it 11.
const canceled = -int32(syscall.ECANCELED)

func main() {}

//go:wasmexport watm_init_v1
func initialize() int32 {
	config, err := os.ReadFile("/conf/watm.cfg")
	// Where there is no configuration there is no folder either, which Go calls a bad descriptor.
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EBADF) {
		return code(err)
	}
	where = string(config)
	return 0
}

// The application's connection comes in, and the host knows where to go.
//
//go:wasmexport watm_dial_v1
func dial(fd int32) int32 {
	return join(fd, dialFixed())
}

// The same, and the configuration knows where to go.
//
//go:wasmexport watm_dial_fixed_v1
func dialWhere(fd int32) int32 {
	return join(fd, dialTo(where))
}

// A connection came in from the network. A handshake belongs here and into the dialers: the transport counts as up when
// they return.
//
//go:wasmexport watm_accept_v1
func accept(fd int32) int32 {
	return join(fd, acceptNext())
}

// Takes a connection and dials on. It answers 0, as both connections are the module's.
//
//go:wasmexport watm_associate_v1
func associate() int32 {
	in := acceptNext()
	if in < 0 {
		return in
	}
	out := int32(0)
	if where == "" {
		out = dialFixed()
	} else {
		out = dialTo(where)
	}
	return min(join(in, out), 0)
}

//go:wasmexport watm_ctrlpipe_v1
func ctrlpipe(fd int32) int32 {
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return code(err)
	}
	control = os.NewFile(uintptr(fd), "control")
	return 0
}

// Moves bytes until both directions have ended, one of them has failed, or the host cancels.
//
//go:wasmexport watm_start_v1
func start() int32 {
	if outer == nil || control == nil {
		return -int32(syscall.ENOTCONN)
	}
	ends := make(chan int32, 3)
	go func() { ends <- pass(outer, inner) }()
	go func() { ends <- pass(inner, outer) }()
	go func() {
		// Any byte, and the end, mean the same.
		control.Read(make([]byte, 1))
		ends <- canceled
	}()
	for range 2 {
		if end := <-ends; end != 0 {
			return end
		}
	}
	return 0
}

// pass moves one direction and then passes its end on, while the other goes on.
func pass(to, from net.Conn) int32 {
	// The buffer is memory per connection, but larger reads are fewer calls.
	if _, err := io.CopyBuffer(onlyWriter{to}, onlyReader{from}, make([]byte, 64<<10)); err != nil {
		return code(err)
	}
	err := to.(*net.TCPConn).CloseWrite()
	if err != nil && !errors.Is(err, syscall.ENOTCONN) {
		return code(err)
	}
	return 0
}

// These hide the methods by which io.Copy would go around the buffer it was given.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// join makes connections of two fds, or passes on the error that the second one is. It returns the network's.
func join(in, out int32) int32 {
	if out < 0 {
		return out
	}
	for _, end := range []struct {
		fd   int32
		conn *net.Conn
	}{{in, &inner}, {out, &outer}} {
		conn, err := connection(end.fd)
		if err != nil {
			return code(err)
		}
		*end.conn = conn
	}
	return out
}

// connection makes a net.Conn of a socket that the host gave.
func connection(fd int32) (net.Conn, error) {
	// Without this, Go takes it for something that cannot be waited for, and one read would stop every goroutine.
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	return net.FileConn(file)
}

// code is the negative number by which an export returns an error.
func code(err error) int32 {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return -int32(errno)
	}
	return -int32(syscall.EIO)
}

// dialTo asks the host for a connection to a network and an address.
func dialTo(where string) int32 {
	network, address, found := strings.Cut(strings.TrimSpace(where), " ")
	if !found {
		return -int32(syscall.EINVAL)
	}
	return dialAddress(network, address)
}
