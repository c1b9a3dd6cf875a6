package harness

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"xenoauth/internal/dbtest"
	"xenoauth/server"
	"xenoauth/server/web"
	"xenoauth/store/sqlstore"
)

// StatementCounter records the statements that each request sends to Postgres. BEGIN, COMMIT and ROLLBACK are not
// statements; each statement of a batch is one.
type StatementCounter struct {
	mu sync.Mutex
	of map[string][]string // by request id
}

// Counted starts a server over Postgres whose statements are recorded.
func Counted(t testing.TB, options ...func(*server.Options)) (*Env, *StatementCounter) {
	t.Helper()
	c := &StatementCounter{of: map[string][]string{}}
	st := dbtest.Open(t, dbtest.Postgres(t), func(o *sqlstore.Options) { o.Tracer = c })
	return New(t, st, options...), c
}

// Statements returns the statements of the request that got the answer.
func (c *StatementCounter) Statements(a Answer) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[a.Header.Get("X-Request-Id")]
}

// TraceQueryStart implements pgx.QueryTracer.
func (c *StatementCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	c.add(ctx, data.SQL)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (c *StatementCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (c *StatementCounter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		c.add(ctx, q.SQL)
	}
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (c *StatementCounter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (c *StatementCounter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (c *StatementCounter) add(ctx context.Context, sql string) {
	word, _, _ := strings.Cut(strings.ToUpper(sql), " ")
	id := web.RequestID(ctx)
	if id == "" || word == "BEGIN" || word == "COMMIT" || word == "ROLLBACK" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[id] = append(c.of[id], sql)
}
