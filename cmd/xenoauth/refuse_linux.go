package main

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// settleTime is the time to accept connections that were established before turnAway.
const settleTime = 300 * time.Millisecond

// turnAway makes listeners ignore new connections and still accept those that are established. Closing a listener resets the
// connections that the kernel has established and the server has not accepted, together with the requests that a proxy has sent on
// them. A client repeats an ignored attempt after a second; by then the port is closed and refuses it, and the proxy knows that
// no request was sent.
func turnAway(listeners []net.Listener) error {
	// Drops a packet with the SYN flag (byte 13 of the TCP header), and accepts all others.
	const flags, syn, all = 13, 0x02, 0xffff
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: all},
	}
	for _, l := range listeners {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			continue
		}
		conn, err := tcp.SyscallConn()
		if err != nil {
			return fmt.Errorf("refuse new connections to %s: %w", l.Addr(), err)
		}
		var set error
		err = conn.Control(func(fd uintptr) {
			set = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
				&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
		})
		if err == nil {
			err = set
		}
		if err != nil {
			return fmt.Errorf("refuse new connections to %s: %w", l.Addr(), err)
		}
	}
	time.Sleep(settleTime)
	return nil
}
