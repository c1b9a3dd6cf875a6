package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is the time limit for the answer; the readiness check itself waits 2 s for the database.
const healthTimeout = 3 * time.Second

func (p *program) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check whether a running server is ready",
		Long: `Check whether the server on --ops-listen is ready, by GET /readyz. The exit code is
0 if it is, and 1 if it is not or does not answer. This is for the health check of a container,
which has no other client.`,
		Example: `  xenoauth health
  xenoauth health --ops-listen 127.0.0.1:9091`,
		Args: arguments(),
	}
	p.define(cmd.Flags(), "ops-listen")
	cmd.RunE = p.act(func(cmd *cobra.Command, _ []string) error {
		s := p.load(cmd)
		var host, port string
		if ops := s.text("ops-listen"); ops == "" || ops == "off" {
			s.fault("ops-listen", "is off, so the server has no address for health checks")
		} else {
			host, port = s.address("ops-listen")
		}
		if err := s.err(); err != nil {
			return err
		}
		return p.askReady(cmd.Context(), host, port)
	})
	return cmd
}

// askReady returns an error unless the operations listener at that address reports that the server is ready.
func (p *program) askReady(ctx context.Context, host, port string) error {
	// A wildcard address is for listening, not for connecting, and a container may not resolve localhost.
	if ip := net.ParseIP(host); bothLoopbacks(host) || host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	url := "http://" + net.JoinHostPort(host, port) + "/readyz"
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("request %s: %w", url, err)
	}
	// The environment's proxy is not used, because the server is on this machine or network.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no server answers at %s: %w", url, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 200))
	if err != nil {
		return fmt.Errorf("request %s: %w", url, err)
	}
	answer := strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server is not ready: %d %s", response.StatusCode, answer)
	}
	p.printLine("%s", answer)
	return nil
}
