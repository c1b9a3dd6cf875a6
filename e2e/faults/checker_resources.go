package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// resources are what the server's process uses.
type resources struct {
	goroutines, files, memory float64
}

// measure reads the server's metrics.
func (s *server) measure() (resources, error) {
	_, body := s.operations("/metrics")
	values := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		if name, text, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			if v, err := strconv.ParseFloat(text, 64); err == nil {
				values[name] = v
			}
		}
	}
	m := resources{values["go_goroutines"], values["process_open_fds"], values["process_resident_memory_bytes"]}
	if m.goroutines == 0 || m.files == 0 || m.memory == 0 {
		return m, errors.New("the server reports no metrics of its process")
	}
	return m, nil
}

const (
	// slackCount goroutines and files more than before are normal: the size of the connection pool varies.
	slackCount = 15
	// slackMemory is normal growth: the runtime returns memory to the system slowly.
	slackMemory = 96 << 20
)

// rest closes all idle connections.
func (w *workload) rest() {
	w.client.http.CloseIdleConnections()
	if w.idle != nil {
		w.idle()
	}
}

// atRest measures the resources without requests, when they no longer change.
func (w *workload) atRest(ctx context.Context) (least resources, err error) {
	w.rest()
	const while = 50
	same := 0
	var failure error
	err = until(ctx, timeout, "the server is at rest", func() bool {
		now, err := w.server.measure()
		if err != nil {
			failure = err
			return true
		}
		if same++; least.files == 0 || now.files < least.files || now.goroutines < least.goroutines {
			least, same = now, 0
		}
		return same == while
	})
	return least, errors.Join(err, failure)
}

// backToNormal waits until the server, without requests, uses no more than before: I8.
func (w *workload) backToNormal(ctx context.Context, before resources, limit time.Duration) ([]Violation, error) {
	w.rest()
	var now resources
	var failure error
	err := until(ctx, limit, "the server uses as little as before", func() bool {
		if now, failure = w.server.measure(); failure != nil {
			return false
		}
		return now.goroutines <= before.goroutines+slackCount && now.files <= before.files+slackCount && now.memory <= before.memory*1.5+slackMemory
	})
	if ctx.Err() != nil || failure != nil {
		return nil, errors.Join(ctx.Err(), failure)
	}
	if err != nil {
		return []Violation{{"I8", fmt.Sprintf("%s after the load the server has %.0f goroutines, %.0f files, %.0f MB; before it had %.0f, %.0f, %.0f",
			limit, now.goroutines, now.files, now.memory/(1<<20), before.goroutines, before.files, before.memory/(1<<20))}}, nil
	}
	return nil, nil
}
