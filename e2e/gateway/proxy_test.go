package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"xenoauth/e2e/faults"
	"xenoauth/e2e/harness"
	"xenoauth/e2e/port"
	"xenoauth/internal/dbtest"
)

// drain is how long a replica goes on serving after SIGTERM: several of the intervals in which Caddy asks whether it is ready.
const drain = "2s"

// TestProxyRollingRestart: two replicas on one Postgres database behind each proxy, as configured in docs/examples/proxy.
// While they restart in turn under load, every request is answered, those that write among them.
func TestProxyRollingRestart(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		p.dir, p.files = proxies, p.files[:1]
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			need(t, p.name)
			database := dbtest.Postgres(t)
			binary, err := faults.Build(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			public, ops := freePort(t), freePort(t)
			var replicas []*replica
			for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
				r := newReplica(t, binary, database, host, public, ops)
				r.start()
				replicas = append(replicas, r)
			}
			p.adapt = withOps(p.adapt, ops)
			app := replicas[0].addApp()
			at := p.start(t, replicas[0].address, replicas[1].address)
			ctx, stop := context.WithCancel(t.Context())
			var load sync.WaitGroup
			var answered atomic.Int64
			for range 4 {
				load.Go(func() {
					for ctx.Err() == nil {
						for _, ask := range []func() (*http.Response, error){
							func() (*http.Response, error) { return http.Get(at + "/.well-known/oauth-authorization-server") },
							func() (*http.Response, error) { return http.PostForm(at+"/oauth/token", app) },
						} {
							response, err := ask()
							if err != nil {
								t.Errorf("no answer: %v", err)
								return
							}
							body, _ := io.ReadAll(response.Body)
							response.Body.Close()
							if response.StatusCode != http.StatusOK {
								t.Errorf("%s: %d: %.300s", response.Request.URL.Path, response.StatusCode, body)
								return
							}
							answered.Add(1)
						}
					}
				})
			}
			for _, r := range replicas {
				r.stop()
				r.start()
				r.awaitRequest() // as a deployment waits before it goes on with the next replica
			}
			stop()
			load.Wait()
			for _, r := range replicas {
				if runtime.GOOS == "linux" && strings.Contains(r.printed.String(), "are reset") {
					t.Errorf("the replica at %s did not turn new connections away", r.address)
				}
			}
			t.Logf("%d requests answered", answered.Load())
		})
	}
}

// replica is a server process that keeps its address.
type replica struct {
	t        *testing.T
	binary   string
	database string
	address  string
	ops      string // address of the operations listener
	running  *exec.Cmd
	printed  *harness.Log
}

// withOps puts the port of the operations listeners into a proxy's configuration.
func withOps(adapt func(config, dir string) string, ops string) func(config, dir string) string {
	return func(config, dir string) string {
		return strings.Replace(adapt(config, dir), "health_port 9090", "health_port "+ops, 1)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	free, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	return free
}

func newReplica(t *testing.T, binary, database, host, public, ops string) *replica {
	t.Helper()
	r := &replica{t: t, binary: binary, database: database, address: host + ":" + public, ops: host + ":" + ops, printed: &harness.Log{}}
	t.Cleanup(func() {
		if r.running != nil {
			_ = r.running.Process.Kill()
			_ = r.running.Wait()
		}
		if t.Failed() {
			t.Logf("the replica at %s printed: %.3000s", r.address, r.printed)
		}
	})
	return r
}

func (r *replica) command(args ...string) *exec.Cmd {
	c := exec.Command(r.binary, args...)
	c.Env = []string{"XENOAUTH_DATABASE_URL=" + r.database}
	c.Stderr = r.printed
	return c
}

// start returns when the server is ready.
func (r *replica) start() {
	r.t.Helper()
	c := r.command("serve", "--listen", r.address, "--issuer", "http://127.0.0.1:8000", "--ops-listen", r.ops, "--drain", drain,
		"--allow-unsafe-database", "--trusted-proxies", "127.0.0.1/32")
	out, err := c.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.running = c
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, "ready") {
		r.t.Fatalf("the replica at %s: %q, %v: %s", r.address, line, err, r.printed)
	}
}

// awaitRequest returns when the proxy has sent the server a request.
func (r *replica) awaitRequest() {
	r.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		response, err := http.Get("http://" + r.ops + "/metrics")
		if err != nil {
			r.t.Fatal(err)
		}
		metrics, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		if strings.Contains(string(metrics), `xenoauth_requests_total{route="POST /oauth/token",status="200"}`) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("the proxy sends the replica at %s no requests", r.address)
		}
	}
}

// stop ends the server in order.
func (r *replica) stop() {
	r.t.Helper()
	if err := r.running.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	if err := r.running.Wait(); err != nil {
		r.t.Fatalf("after SIGTERM: %v: %s", err, r.printed)
	}
	r.running = nil
}

// addApp makes an app that gets tokens of its own, and returns its request for one.
func (r *replica) addApp() url.Values {
	r.t.Helper()
	add := r.command("user", "add", "ada@example.org", "--generate-password")
	if out, err := add.Output(); err != nil {
		r.t.Fatalf("add a user: %v: %s %s", err, out, r.printed)
	}
	out, err := r.command("app", "add", "Load", "--owner", "ada@example.org", "--redirect-uri", "https://app.test/cb", "--json").Output()
	if err != nil {
		r.t.Fatalf("add an app: %v: %s", err, r.printed)
	}
	var app struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &app); err != nil {
		r.t.Fatal(err)
	}
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {app.ID}, "client_secret": {app.Secret}}
}
