package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
)

// listen opens the listeners of one setting: both loopbacks for a loopback host, else one. Port 0 is any free port,
// the same on both. name is the setting, for what to do when the port is taken.
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
	config.SetMultipathTCP(false) // whose sockets take no filter, which turnAway needs
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: choose another address with --%s: %w", net.JoinHostPort(host, port), name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (--%s): %w", net.JoinHostPort(host, port), name, err)
	}
	return l, nil
}

// noIPv6 says whether the machine simply has no ::1.
func noIPv6(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// portOf is the port that a listener got.
func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// filesInReserve are the open files that are not connections of the public listener: the database, the operator's
// listener, what the runtime needs.
const filesInReserve = 200

// affordable is how many connections the process may hold: as many as were asked for, unless it may not open as many
// files. A server that runs out of files serves nobody.
func affordable(connections int, log *slog.Logger) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return connections
	}
	most := int(min(files.Cur, 1<<30)) - filesInReserve
	most = max(most, int(min(files.Cur, 1<<30))/2, 1)
	if connections <= most {
		return connections
	}
	log.Warn("fewer connections than max-connections says, because the process may open few files", "connections", most, "files", files.Cur)
	return most
}

// closeAll closes listeners that no server took over.
func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}
