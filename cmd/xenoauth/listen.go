package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
)

// listen opens the listeners of one setting: two for a loopback host (IPv4 and IPv6), otherwise one. Port 0 is any free port, the same
// on both. name is the setting, which the error for a port in use contains.
func listen(ctx context.Context, name, host, port string) ([]net.Listener, error) {
	if !bothLoopbacks(host) {
		l, err := listenOn(ctx, name, host, port)
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	const attempts = 10 // a port that is free on one loopback may be taken on the other
	for range attempts {
		l4, err := listenOn(ctx, name, "127.0.0.1", port)
		if err != nil {
			return nil, err
		}
		l6, err := listenOn(ctx, name, "::1", fmt.Sprint(portOf(l4)))
		switch {
		case err == nil:
			return []net.Listener{l4, l6}, nil
		case noIPv6(err):
			return []net.Listener{l4}, nil
		}
		_ = l4.Close()
		if port != "0" {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: found no port that is free on both 127.0.0.1 and ::1", name)
}

func listenOn(ctx context.Context, name, host, port string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // its sockets do not support the filter of turnAway
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: choose another address with --%s: %w", net.JoinHostPort(host, port), name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (--%s): %w", net.JoinHostPort(host, port), name, err)
	}
	return l, nil
}

// noIPv6 reports whether the error means that the machine has no ::1.
func noIPv6(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// portOf returns the port of a listener.
func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// filesInReserve is the number of open files reserved for the database, the operator's listener and the runtime.
const filesInReserve = 200

// capByFileLimit returns the maximum number of connections: the given number, or fewer if the process may open fewer files. A server
// that runs out of files cannot serve any client.
func capByFileLimit(connections int, log *slog.Logger) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return connections
	}
	most := int(min(files.Cur, 1<<30)) - filesInReserve
	most = max(most, int(min(files.Cur, 1<<30))/2, 1)
	if connections <= most {
		return connections
	}
	log.Warn("fewer connections than max-connections, because of the limit on open files", "connections", most, "files", files.Cur)
	return most
}

// closeAll closes listeners that no server serves.
func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}
