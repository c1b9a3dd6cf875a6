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

// Planted are bugs put around the server from outside, which the oracle must find.
type Planted struct {
	Name   string
	Breaks []string // the invariants that must be found broken, one for each bug
	// While is what happens meanwhile; none: nothing dreadful.
	While func() Fault
	front func(*front) http.HandlerFunc // stands before the server's endpoints for programs
	do    func(ctx context.Context, s *Scene) (undo func(), err error)
}

// AllPlanted are bugs of every kind that a server could have. Bugs that cannot be taken for one another come together.
// After the last ones the database is no good any more.
var AllPlanted = []Planted{
	{Name: "verifications are remembered for two seconds", Breaks: []string{"I2"}, front: remember},
	{Name: "an unanswered revocation is heeded once, and a code that is presented again produces again", Breaks: []string{"I3", "I4"},
		front: func(f *front) http.HandlerFunc {
			return forget(&front{next: produceAgain(f), seen: map[string]*memory{}})
		}},
	{Name: "trouble is called a refusal", Breaks: []string{"I5"}, front: lie, While: func() Fault { return Restart("immediate", 1) }},
	{Name: "commits are acknowledged that are not written down", Breaks: []string{"I1"}, While: loseCommits},
	{Name: "a token is logged, audit events are removed, and connections are left open", Breaks: []string{"I6", "I7", "I8"}, do: muddle},
}

// Repeatable reports whether the campaign can run the bug again.
func (p Planted) Repeatable() bool { return p.do == nil }

// RoomToLose is a setting of a Postgres for loseCommits: what it has not written down finds room in its memory.
const RoomToLose = "wal_buffers=64MB"

// loseCommits is F2 on a Postgres that is told to acknowledge what it has not written down. The process that would write it
// down soon after is held, so that there is something to lose.
func loseCommits() Fault {
	f := Crash(1)
	inject := f.Inject
	f.Inject = func(ctx context.Context, s *Scene) error {
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
			// It is for new connections.
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
			return fmt.Errorf("hold the WAL writer: %w", err)
		}
		return inject(ctx, s)
	}
	return f
}

// Calm is no fault at all: the load alone.
func Calm() Fault {
	return Fault{Name: "F0", Title: "nothing", Inject: func(ctx context.Context, s *Scene) error {
		if err := s.progress(ctx, 60); err != nil {
			return err
		}
		if err := s.strike(ctx, func() error { return nil }); err != nil {
			return err
		}
		return s.progress(ctx, 60)
	}}
}

// RunPlanted judges with the bug in place, on a ledger of its own.
func (c *Campaign) RunPlanted(ctx context.Context, p Planted) (Report, error) {
	// What was found before was found already.
	before, err := auditRows(ctx, c.database)
	if err != nil {
		return Report{}, err
	}
	if err := c.renew(); err != nil {
		return Report{}, err
	}
	c.known = before
	if p.front != nil {
		stop, err := c.put(p.front)
		if err != nil {
			return Report{}, err
		}
		defer stop()
	}
	f := Calm()
	if p.While != nil {
		f = p.While()
	}
	f.Title = p.Name
	inject := f.Inject
	f.Inject = func(ctx context.Context, s *Scene) error {
		if err := inject(ctx, s); err != nil || p.do == nil {
			return err
		}
		undo, err := p.do(ctx, s)
		s.undo = undo
		return err
	}
	return c.Run(ctx, f)
}

// front is a program between clients and server.
type front struct {
	next http.Handler
	mu   sync.Mutex
	seen map[string]*memory
}

type memory struct {
	at     time.Time
	status int
	header http.Header
	body   []byte
}

// put places a front before the server until stop is called.
func (c *Campaign) put(make func(*front) http.HandlerFunc) (stop func(), err error) {
	to, err := url.Parse(c.server.base())
	if err != nil {
		return nil, fmt.Errorf("place front: %w", err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	transport := &http.Transport{MaxIdleConnsPerHost: 1000, IdleConnTimeout: time.Minute}
	proxy.Transport = transport
	// What the server does not answer, nobody answers.
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	s := httptest.NewServer(make(&front{next: proxy, seen: map[string]*memory{}}))
	base, idle := c.world.base, transport.CloseIdleConnections
	c.world.base, c.world.idle = s.URL, idle
	return func() {
		c.world.base, c.world.idle = base, nil
		s.CloseClientConnections()
		s.Close()
		idle()
	}, nil
}

// form reads the form of a request and leaves it to be read again.
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

// asked is the token that a request asks about; "" for other requests.
func asked(r *http.Request) string {
	switch r.URL.Path {
	case "/api/me":
		return r.Header.Get("Authorization")
	case "/oauth/introspect":
		return form(r).Get("token")
	}
	return ""
}

// answer has the server answer, and keeps that.
func (f *front) answer(r *http.Request) *memory {
	rec := httptest.NewRecorder()
	f.next.ServeHTTP(rec, r)
	return &memory{time.Now(), rec.Code, rec.Header(), rec.Body.Bytes()}
}

func (m *memory) write(w http.ResponseWriter) {
	for name, values := range m.header {
		w.Header()[name] = values
	}
	w.WriteHeader(m.status)
	_, _ = w.Write(m.body)
}

func remember(f *front) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := asked(r)
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

// refusal is what says that a token is dead.
func refusal(path string) *memory {
	m := &memory{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(`{"active":false}`)}
	switch path {
	case "/api/me":
		m.status, m.body = http.StatusUnauthorized, []byte(`{"error":"invalid_token"}`)
	case "/oauth/token":
		m.status, m.body = http.StatusBadRequest, []byte(`{"error":"invalid_grant"}`)
	}
	return m
}

func forget(f *front) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/revoke" {
			f.mu.Lock()
			f.seen[form(r).Get("token")] = &memory{}
			f.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		token := strings.TrimPrefix(asked(r), "Bearer ")
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

func produceAgain(f *front) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		code := ""
		var v url.Values
		if r.URL.Path == "/oauth/token" {
			v = form(r)
			code = v.Get("code")
		}
		f.mu.Lock()
		_, again := f.seen[code]
		f.seen[code] = &memory{}
		f.mu.Unlock()
		if code != "" && again {
			v = url.Values{"grant_type": {"client_credentials"}, "client_id": v["client_id"], "client_secret": v["client_secret"], "scope": {scopes}}
			body := v.Encode()
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		}
		f.next.ServeHTTP(w, r)
	}
}

func lie(f *front) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m := f.answer(r)
		if m.status == http.StatusServiceUnavailable {
			m = refusal(r.URL.Path)
		}
		m.write(w)
	}
}

// muddle does at the end of the load what nobody who asks for tokens can see.
func muddle(ctx context.Context, s *Scene) (undo func(), err error) {
	if err := talk(s); err != nil {
		return nil, err
	}
	if err := tidy(ctx, s); err != nil {
		return nil, err
	}
	return leak(s)
}

func talk(s *Scene) error {
	log, err := os.OpenFile(s.server.logPath, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("talk: %w", err)
	}
	_, err = fmt.Fprintf(log, "level=DEBUG msg=\"look at this\" token=%s\n", s.world.anyToken().text)
	return errors.Join(err, log.Close())
}

func tidy(ctx context.Context, s *Scene) error {
	db, err := openDB(s.database)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `DELETE FROM audit_events WHERE kind IN ('installation.created', 'token.revoked')`)
	return errors.Join(err, db.Close())
}

// leak opens connections that the server, once it has answered, keeps for minutes.
func leak(s *Scene) (undo func(), err error) {
	var all []net.Conn
	undo = func() {
		for _, c := range all {
			_ = c.Close()
		}
	}
	for range 4 * few {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.server.base(), "http://"))
		if err != nil {
			undo()
			return nil, fmt.Errorf("leak: %w", err)
		}
		all = append(all, c)
		if _, err := io.WriteString(c, "GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			undo()
			return nil, fmt.Errorf("leak: %w", err)
		}
	}
	return undo, nil
}
