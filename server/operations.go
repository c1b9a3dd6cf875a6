package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"xenoauth/store"
)

// pingTimeout is how long readiness waits for the database.
const pingTimeout = 2 * time.Second

// Operations serves the operator's listener: liveness, readiness and metrics. It must not be public.
func (s *Server) Operations() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", s.ready(http.StatusServiceUnavailable))
	// For a load balancer in front of APIs that only verify tokens, which works while the database is read-only.
	mux.HandleFunc("GET /readyz/read", s.ready(http.StatusOK))
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// ready reports readiness; readOnly is the status while the database is read-only.
func (s *Server) ready(readOnly int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			writeText(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		ctx, cancel := context.WithTimeout(store.WithReservedConnections(r.Context()), pingTimeout)
		defer cancel()
		switch err := s.store.Ping(ctx); {
		case errors.Is(err, store.ErrReadOnly):
			writeText(w, readOnly, "database is read-only: tokens are verified, and nothing is issued, changed or revoked")
		case err != nil:
			writeText(w, http.StatusServiceUnavailable, "database unavailable")
		default:
			writeText(w, http.StatusOK, "ready")
		}
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// metrics labels requests by route pattern, never by path: clients could create any number of paths.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	swept    *prometheus.CounterVec
	jobs     *prometheus.CounterVec
	jobTime  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xenoauth_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "xenoauth_request_seconds", Help: "Time to answer a request, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 2.5},
		}, []string{"route"}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xenoauth_swept_rows_total", Help: "Expired rows removed by this replica, by table.",
		}, []string{"table"}),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xenoauth_job_runs_total", Help: "Runs of background jobs of this replica, by job and outcome.",
		}, []string{"job", "outcome"}),
		jobTime: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "xenoauth_job_seconds_total", Help: "Time that background jobs of this replica ran, by job.",
		}, []string{"job"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.swept, m.jobs, m.jobTime,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observeJob implements jobs.Observer.
func (m *metrics) observeJob(job string, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	m.jobs.WithLabelValues(job, outcome).Inc()
	m.jobTime.WithLabelValues(job).Add(took.Seconds())
}

// countSwept counts rows that the sweep removed from a table.
func (m *metrics) countSwept(table string, rows int64) {
	m.swept.WithLabelValues(table).Add(float64(rows))
}

// observe counts the responses of next. The router must have set the request's pattern when next returns.
func (m *metrics) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		status := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r)
		m.seconds.WithLabelValues(r.Pattern).Observe(time.Since(start).Seconds())
		m.requests.WithLabelValues(r.Pattern, strconv.Itoa(status.status)).Inc()
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (s *statusRecorder) WriteHeader(status int) {
	if !s.wrote && status >= http.StatusOK {
		s.status, s.wrote = status, true
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(p []byte) (int, error) {
	s.wrote = true
	return s.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
