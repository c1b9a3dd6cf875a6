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

// state is what the server needs of the machine.
type state struct {
	goroutines, files, memory float64
}

// measure reads the server's metrics.
func (s *server) measure() (state, error) {
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
	m := state{values["go_goroutines"], values["process_open_fds"], values["process_resident_memory_bytes"]}
	if m.goroutines == 0 || m.files == 0 || m.memory == 0 {
		return m, errors.New("the server has no metrics of itself")
	}
	return m, nil
}

const (
	// few goroutines and files more than before mean nothing: the pool of the database may be fuller or emptier.
	few = 15
	// memory may have grown by so much: the runtime gives back slowly what it was lent.
	room = 96 << 20
)

// rest closes all connections that nobody uses.
func (w *world) rest() {
	w.client.http.CloseIdleConnections()
	if w.idle != nil {
		w.idle()
	}
}

// atRest is what the server needs when nobody asks. It has noticed so when that stays the same for a while.
func (w *world) atRest(ctx context.Context) (least state, err error) {
	w.rest()
	const while = 50
	same := 0
	var failure error
	err = until(ctx, patience, "rest", func() bool {
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

// backToNormal waits until the server needs no more than it did, with nobody asking: I8.
func (w *world) backToNormal(ctx context.Context, before state, patience time.Duration) ([]Violation, error) {
	w.rest()
	var now state
	var failure error
	err := until(ctx, patience, "normal", func() bool {
		if now, failure = w.server.measure(); failure != nil {
			return false
		}
		return now.goroutines <= before.goroutines+few && now.files <= before.files+few && now.memory <= before.memory*1.5+room
	})
	if ctx.Err() != nil || failure != nil {
		return nil, errors.Join(ctx.Err(), failure)
	}
	if err != nil {
		return []Violation{{"I8", fmt.Sprintf("%s after the load the server has %.0f goroutines, %.0f files, %.0f MB; before it had %.0f, %.0f, %.0f",
			patience, now.goroutines, now.files, now.memory/(1<<20), before.goroutines, before.files, before.memory/(1<<20))}}, nil
	}
	return nil, nil
}
