// Package port finds ports for programs that must be told one, instead of saying which one they got.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// Systems give away ports from here on by themselves, to whoever listens on port 0 and to every outgoing connection (Linux
// from 32768): one that was free a moment ago may be taken when the program comes to listen on it. Those below are
// taken only by who asks for them by number.
const (
	lowest  = 10000
	highest = 32000
)

var next atomic.Uint32

func init() { next.Store(rand.Uint32()) }

// Free returns a port on which nobody listens at 127.0.0.1, another one each time.
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
