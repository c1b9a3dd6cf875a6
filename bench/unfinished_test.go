package bench

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/port"
)

// BenchmarkHalfSentRequests measures the peak memory (VmHWM) of a server process that gets 4,000 incomplete requests, half of them
// headers and half bodies of 60 kB (row U4 of docs/battery.md). XENOAUTH_BINARY measures another build.
//
//	go test ./bench -run '^$' -bench HalfSentRequests -benchtime 1x
func BenchmarkHalfSentRequests(b *testing.B) {
	dir := b.TempDir()
	binary := cmp.Or(os.Getenv("XENOAUTH_BINARY"), filepath.Join(dir, "xenoauth"))
	if os.Getenv("XENOAUTH_BINARY") == "" {
		if out, err := exec.Command("go", "build", "-o", binary, "xenoauth/cmd/xenoauth").CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	for range b.N {
		free, err := port.Free()
		if err != nil {
			b.Fatal(err)
		}
		address := "127.0.0.1:" + free
		serve := exec.Command(binary, "serve", "--listen", address, "--ops-listen", "off", "--database-url", "sqlite:"+filepath.Join(b.TempDir(), "x.db"))
		if err := serve.Start(); err != nil {
			b.Fatal(err)
		}
		for {
			if a, err := http.Get("http://" + address + "/login"); err == nil {
				a.Body.Close()
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		before, filler := peak(b, serve.Process.Pid), strings.Repeat("x", 60_000)
		for i := range 4000 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			head := "GET /login HTTP/1.1\r\nHost: x\r\nX-Filler: "
			if i%2 == 0 {
				head = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 64000\r\n\r\na="
			}
			_, _ = conn.Write([]byte(head + filler)) // the server may have closed it
		}
		time.Sleep(4 * time.Second) // until the server has read all that it accepts
		b.ReportMetric(before, "MB/before")
		b.ReportMetric(peak(b, serve.Process.Pid), "MB/peak")
		_ = serve.Process.Kill()
		_ = serve.Wait()
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func peak(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	m := highWater.FindSubmatch(status)
	if m == nil {
		b.Fatalf("no VmHWM in %s", status)
	}
	kB, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return kB / 1024
}
