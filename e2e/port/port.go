// Package port finds free ports for programs that cannot choose one themselves.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// From 32768 on, Linux assigns ports to listeners on port 0 and to outgoing connections, so that a free one may be taken before
// the program listens on it. Lower ports are taken only by number.
const (
	lowest  = 10000
	highest = 32000
)

var next atomic.Uint32

func init() { next.Store(rand.Uint32()) }

// Free returns a port that is free at 127.0.0.1, a different one each time.
func Free() (string, error) {
	var err error
	for range 100 {
		port := strconv.Itoa(lowest + int(next.Add(1)%(highest-lowest)))
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			return port, l.Close()
		}
	}
	return "", fmt.Errorf("find a port: %w", err)
}
