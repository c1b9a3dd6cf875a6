package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bug is a bug that a proxy or the database's settings add to the server, and that the checker must find.
type Bug struct {
	Name   string
	Breaks []string // the invariants that must be found violated
	// While is the nemesis meanwhile; nil: none.
	While func() Nemesis
	proxy func(*proxy) http.HandlerFunc // stands in front of the server's endpoints for programs
	do    func(ctx context.Context, s *Injection) (undo func(), err error)
}

// Bugs violate every invariant. Bugs that cannot be confused run together. After the last ones the database is no longer
// usable.
var Bugs = []Bug{
	{Name: "verifications are cached for two seconds", Breaks: []string{"I2"}, proxy: cacheVerifications},
	{Name: "an unanswered revocation takes effect once, and a code that is presented again gets another token", Breaks: []string{"I3", "I4"},
		proxy: func(f *proxy) http.HandlerFunc {
			return dropRevocations(&proxy{next: issueAgain(f), seen: map[string]*cachedAnswer{}})
		}},
	{Name: "503 becomes a refusal", Breaks: []string{"I5"}, proxy: hideUnavailable, While: func() Nemesis { return RestartPostgres("immediate", 1) }},
	{Name: "commits are acknowledged before they are durable", Breaks: []string{"I1"}, While: loseCommits},
	{Name: "a token is logged, audit events are removed, and connections are left open", Breaks: []string{"I6", "I7", "I8"}, do: corrupt},
}

// Repeatable reports whether the run can run the bug again.
func (p Bug) Repeatable() bool { return p.do == nil }

// LargeWALBuffers is a setting of Postgres for loseCommits, so that unwritten commits stay in its memory.
const LargeWALBuffers = "wal_buffers=64MB"

// loseCommits is F2 on a Postgres that acknowledges commits before they are durable. The process that would write them soon
// after is stopped, so that there is something to lose.
func loseCommits() Nemesis {
	f := KillPostgres(1)
	inject := f.Inject
	f.Inject = func(ctx context.Context, s *Injection) error {
		db, err := openDB(s.database)
		if err != nil {
			return err
		}
		defer db.Close()
		u, err := url.Parse(s.database)
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		for _, statement := range []string{
			`ALTER DATABASE ` + pgx.Identifier{u.Path[1:]}.Sanitize() + ` SET synchronous_commit = off`,
			// The setting holds for new connections.
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'xenoauth'`,
		} {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		var pid int
		if err := db.QueryRowContext(ctx, `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'`).Scan(&pid); err != nil {
			return fmt.Errorf("find the WAL writer: %w", err)
		}
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return fmt.Errorf("stop the WAL writer: %w", err)
		}
		return inject(ctx, s)
	}
	return f
}

// NoFault runs the workload alone.
func NoFault() Nemesis {
	return Nemesis{Name: "F0", Title: "nothing", Inject: func(ctx context.Context, s *Injection) error {
		if err := s.progress(ctx, 60); err != nil {
			return err
		}
		if err := s.underLoad(ctx, func() error { return nil }); err != nil {
			return err
		}
		return s.progress(ctx, 60)
	}}
}

// InjectBug runs the workload with the bug and a new history, and checks it.
func (r *Run) InjectBug(ctx context.Context, p Bug) (Report, error) {
	// These violations were found before.
	before, err := checkRows(ctx, r.database)
	if err != nil {
		return Report{}, err
	}
	if err := r.newHistory(); err != nil {
		return Report{}, err
	}
	r.known = before
	if p.proxy != nil {
		stop, err := r.placeProxy(p.proxy)
		if err != nil {
			return Report{}, err
		}
		defer stop()
	}
	f := NoFault()
	if p.While != nil {
		f = p.While()
	}
	f.Title = p.Name
	inject := f.Inject
	f.Inject = func(ctx context.Context, s *Injection) error {
		if err := inject(ctx, s); err != nil || p.do == nil {
			return err
		}
		undo, err := p.do(ctx, s)
		s.undo = undo
		return err
	}
	return r.Inject(ctx, f)
}

// proxy is a program between clients and server.
type proxy struct {
	next http.Handler
	mu   sync.Mutex
	seen map[string]*cachedAnswer
}

type cachedAnswer struct {
	at     time.Time
	status int
	header http.Header
	body   []byte
}

// placeProxy puts a proxy in front of the server until stop is called.
func (r *Run) placeProxy(make func(*proxy) http.HandlerFunc) (stop func(), err error) {
	to, err := url.Parse(r.server.base())
	if err != nil {
		return nil, fmt.Errorf("place proxy: %w", err)
	}
	reverse := httputil.NewSingleHostReverseProxy(to)
	transport := &http.Transport{MaxIdleConnsPerHost: 1000, IdleConnTimeout: time.Minute}
	reverse.Transport = transport
	// A request that the server does not answer stays unanswered.
	reverse.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	s := httptest.NewServer(make(&proxy{next: reverse, seen: map[string]*cachedAnswer{}}))
	base, idle := r.workload.base, transport.CloseIdleConnections
	r.workload.base, r.workload.idle = s.URL, idle
	return func() {
		r.workload.base, r.workload.idle = base, nil
		s.CloseClientConnections()
		s.Close()
		idle()
	}, nil
}

// form reads the form of a request, which can be read again afterwards.
func form(r *http.Request) url.Values {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	v, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	return v
}

// tokenOf is the token that a request verifies; "" for other requests.
func tokenOf(r *http.Request) string {
	switch r.URL.Path {
	case "/api/me":
		return r.Header.Get("Authorization")
	case "/oauth/introspect":
		return form(r).Get("token")
	}
	return ""
}

// answer returns the server's answer.
func (f *proxy) answer(r *http.Request) *cachedAnswer {
	rec := httptest.NewRecorder()
	f.next.ServeHTTP(rec, r)
	return &cachedAnswer{time.Now(), rec.Code, rec.Header(), rec.Body.Bytes()}
}

func (m *cachedAnswer) write(w http.ResponseWriter) {
	for name, values := range m.header {
		w.Header()[name] = values
	}
	w.WriteHeader(m.status)
	_, _ = w.Write(m.body)
}

func cacheVerifications(f *proxy) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := tokenOf(r)
		if token == "" {
			f.next.ServeHTTP(w, r)
			return
		}
		f.mu.Lock()
		m := f.seen[r.URL.Path+token]
		f.mu.Unlock()
		if m == nil || time.Since(m.at) > 2*time.Second {
			m = f.answer(r)
			f.mu.Lock()
			f.seen[r.URL.Path+token] = m
			f.mu.Unlock()
		}
		m.write(w)
	}
}

// refusal is the answer that a token is dead.
func refusal(path string) *cachedAnswer {
	m := &cachedAnswer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(`{"active":false}`)}
	switch path {
	case "/api/me":
		m.status, m.body = http.StatusUnauthorized, []byte(`{"error":"invalid_token"}`)
	case "/oauth/token":
		m.status, m.body = http.StatusBadRequest, []byte(`{"error":"invalid_grant"}`)
	}
	return m
}

func dropRevocations(f *proxy) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/revoke" {
			f.mu.Lock()
			f.seen[form(r).Get("token")] = &cachedAnswer{}
			f.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		token := strings.TrimPrefix(tokenOf(r), "Bearer ")
		f.mu.Lock()
		_, revoked := f.seen[token]
		delete(f.seen, token)
		f.mu.Unlock()
		if token != "" && revoked {
			refusal(r.URL.Path).write(w)
			return
		}
		f.next.ServeHTTP(w, r)
	}
}

func issueAgain(f *proxy) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		code := ""
		var v url.Values
		if r.URL.Path == "/oauth/token" {
			v = form(r)
			code = v.Get("code")
		}
		f.mu.Lock()
		_, again := f.seen[code]
		f.seen[code] = &cachedAnswer{}
		f.mu.Unlock()
		if code != "" && again {
			v = url.Values{"grant_type": {"client_credentials"}, "client_id": v["client_id"], "client_secret": v["client_secret"], "scope": {scopes}}
			body := v.Encode()
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		}
		f.next.ServeHTTP(w, r)
	}
}

func hideUnavailable(f *proxy) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m := f.answer(r)
		if m.status == http.StatusServiceUnavailable {
			m = refusal(r.URL.Path)
		}
		m.write(w)
	}
}

// corrupt violates, at the end of the workload, invariants that no client can observe.
func corrupt(ctx context.Context, s *Injection) (undo func(), err error) {
	if err := logToken(s); err != nil {
		return nil, err
	}
	if err := deleteEvents(ctx, s); err != nil {
		return nil, err
	}
	return leaveConnectionsOpen(s)
}

func logToken(s *Injection) error {
	log, err := os.OpenFile(s.server.logPath, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("log a token: %w", err)
	}
	_, err = fmt.Fprintf(log, "level=DEBUG msg=\"request\" token=%s\n", s.workload.anyToken().text)
	return errors.Join(err, log.Close())
}

func deleteEvents(ctx context.Context, s *Injection) error {
	db, err := openDB(s.database)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `DELETE FROM audit_events WHERE kind IN ('installation.created', 'token.revoked')`)
	return errors.Join(err, db.Close())
}

// leaveConnectionsOpen opens connections that the server keeps for minutes after its answer.
func leaveConnectionsOpen(s *Injection) (undo func(), err error) {
	var all []net.Conn
	undo = func() {
		for _, c := range all {
			_ = c.Close()
		}
	}
	for range 4 * slackCount {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.server.base(), "http://"))
		if err != nil {
			undo()
			return nil, fmt.Errorf("leave a connection open: %w", err)
		}
		all = append(all, c)
		if _, err := io.WriteString(c, "GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			undo()
			return nil, fmt.Errorf("leave a connection open: %w", err)
		}
	}
	return undo, nil
}
