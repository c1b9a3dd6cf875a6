package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// route is a line of server/routes.go.
type route struct {
	method, path string
	kind         string   // page, private, open, api or static
	parameters   []string // that its handler reads
}

// routesOf reads server/routes.go, and of each handler the parameters that it, and what it calls in its package, asks for
// by name.
func routesOf(t *testing.T) []route {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../server/routes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]reads{}
	var routes []route
	ast.Inspect(file, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if !isCall || len(call.Args) < 2 {
			return true
		}
		to, handler, ok := mount(call)
		if !ok {
			return true
		}
		if room, name, found := strings.Cut(handler, "."); found && to.kind != "static" {
			if rooms[room] == nil {
				rooms[room] = readsOf(t, room)
			}
			to.parameters = rooms[room].parameters(name)
			if room == "platform" {
				to.parameters = append(to.parameters, "access_token") // BearerToken looks for it to refuse it
			}
		}
		routes = append(routes, to)
		return true
	})
	wantWhole(t, routes)
	return routes
}

// mount reads page("GET /x", h.room.Handler) and its like.
func mount(call *ast.CallExpr) (to route, handler string, ok bool) {
	literal := func(e ast.Expr) string {
		if l, isLiteral := e.(*ast.BasicLit); isLiteral {
			s, _ := strconv.Unquote(l.Value)
			return s
		}
		return ""
	}
	last := call.Args[len(call.Args)-1]
	ast.Inspect(last, func(n ast.Node) bool { // h.room.Handler, bare or wrapped
		if s, isSelector := n.(*ast.SelectorExpr); isSelector {
			if room, isRoom := s.X.(*ast.SelectorExpr); isRoom && room.Sel.Name != "web" {
				handler = room.Sel.Name + "." + s.Sel.Name
				return false
			}
		}
		return true
	})
	switch f := call.Fun.(type) {
	case *ast.Ident:
		if f.Name == "cors" && len(call.Args) == 3 {
			return route{method: literal(call.Args[0]), path: literal(call.Args[1]), kind: "api"}, handler, true
		}
		if to.kind = f.Name; to.kind == "ending" {
			to.kind = "private"
		}
	case *ast.SelectorExpr:
		if f.Sel.Name != "Handle" {
			return to, "", false
		}
		if to.kind = "open"; handler == "" {
			to.kind = "static"
		}
	}
	method, path, found := strings.Cut(literal(call.Args[0]), " ")
	if !found && strings.HasPrefix(method, "/") {
		method, path, to.kind = "PATCH", method, "api" // every other method
	}
	to.method, to.path = method, path
	return to, handler, strings.HasPrefix(path, "/")
}

// wantWhole fails if the reading of the source has become blind.
func wantWhole(t *testing.T, routes []route) {
	t.Helper()
	source, err := os.ReadFile("../server/routes.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(regexp.MustCompile(`(?m)"(?:[A-Z]+ )?/[^"]*", `).FindAll(source, -1)); len(routes) != want || want < 35 {
		t.Fatalf("%d routes of %d were read", len(routes), want)
	}
	for _, to := range routes {
		for path, names := range map[string]string{
			"GET /oauth/authorize":   "client_id redirect_uri response_type response_mode scope state prompt code_challenge code_challenge_method resource",
			"POST /oauth/token":      "grant_type client_id client_secret code redirect_uri code_verifier refresh_token scope resource",
			"POST /oauth/consent":    "request_id decision account",
			"POST /login":            "email password next",
			"POST /developer/apps":   "name description homepage logo_url redirect_uris scopes type expiring pkce_required account add_row",
			"POST /oauth/revoke":     "token client_id client_secret",
			"GET /login":             "next",
			"POST /account":          "name",
			"GET /oauth/consent":     "request_id",
			"POST /account/security": "current_password password",
		} {
			for _, name := range strings.Fields(names) {
				if to.method+" "+to.path == path && !slices.Contains(to.parameters, name) {
					t.Errorf("%s reads %s, which was not found in its source: %v", path, name, to.parameters)
				}
			}
		}
	}
}

// reads is what each function of a package reads and calls.
type reads map[string]struct{ names, calls map[string]bool }

var parameterName = regexp.MustCompile(`^[a-z][A-Za-z_]*$`) // a header's begins in upper case

func readsOf(t *testing.T, room string) reads {
	t.Helper()
	files, err := filepath.Glob("../server/" + room + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of %s: %v", room, err)
	}
	all := reads{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, isFunc := d.(*ast.FuncDecl)
			if !isFunc {
				continue
			}
			one, found := all[f.Name.Name] // methods of one name, as the grants have, count as one
			if !found {
				one = struct{ names, calls map[string]bool }{map[string]bool{}, map[string]bool{}}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, isCall := n.(*ast.CallExpr)
				if !isCall {
					return true
				}
				switch fun := call.Fun.(type) {
				case *ast.Ident:
					one.calls[fun.Name] = true
				case *ast.SelectorExpr:
					one.calls[fun.Sel.Name] = true
					if l, isLiteral := argument(call); isLiteral && (fun.Sel.Name == "Get" || fun.Sel.Name == "All") {
						if name, _ := strconv.Unquote(l.Value); parameterName.MatchString(name) {
							one.names[name] = true
						}
					}
				}
				return true
			})
			all[f.Name.Name] = one
		}
	}
	return all
}

func argument(call *ast.CallExpr) (*ast.BasicLit, bool) {
	if len(call.Args) != 1 {
		return nil, false
	}
	l, isLiteral := call.Args[0].(*ast.BasicLit)
	return l, isLiteral && l.Kind == token.STRING
}

// parameters follows the calls from a handler.
func (r reads) parameters(handler string) []string {
	names, seen := map[string]bool{}, map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		f, ours := r[name]
		if !ours || seen[name] {
			return
		}
		seen[name] = true
		maps.Copy(names, f.names)
		for called := range f.calls {
			follow(called)
		}
	}
	follow(handler)
	return slices.Sorted(maps.Keys(names))
}
