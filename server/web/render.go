package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"xenoauth/store"
)

// layout is the data of layout.html, which passes Page to the page's own templates "title" and "main".
type layout struct {
	Page       any
	Notices    []string
	Navigation bool   // for users who are logged in, except on pages that ask one question
	Script     string // the static file that the page runs; empty for none
	Section    string // the part of the site that the navigation marks: apps, security, profile, developer or none
}

// templates holds one parsed set per page: layout.html and parts.html with the page's file.
type templates map[string]*template.Template

// parseTemplates fails if any template does not parse or cannot be escaped.
func parseTemplates(files fs.FS, a assets) (templates, error) {
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	base, err := template.New("layout.html").Funcs(functions(a)).ParseFS(files, "layout.html", "parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	parsed := make(templates)
	for _, name := range names {
		if name == "layout.html" || name == "parts.html" {
			continue
		}
		set, err := template.Must(base.Clone()).ParseFS(files, name)
		if err != nil {
			return nil, fmt.Errorf("parse template %s: %w", name, err)
		}
		// Escaping happens at the first execution. That the page then fails at its first field, without data, is no error.
		var unescapable *template.Error
		if err := set.Execute(io.Discard, layout{}); errors.As(err, &unescapable) {
			return nil, fmt.Errorf("escape template %s: %w", name, err)
		}
		parsed[strings.TrimSuffix(name, ".html")] = set
	}
	return parsed, nil
}

// Render writes the page template of that name in the layout. page is the template's own struct. Nothing is written before the
// whole page is rendered.
func (t *Toolkit) Render(w http.ResponseWriter, r *http.Request, status int, name string, page any) error {
	view := layout{Page: page, Section: section(r.URL.Path)}
	if VisitorOf(r.Context()) != nil {
		view.Navigation = !strings.HasPrefix(r.URL.Path, "/oauth/")
		view.Notices = t.takeNotices(r)
	}
	if script, runs := scripts[name]; runs {
		view.Script = script
		t.allowScript(w.Header(), script)
	}
	return t.write(w, status, name, view)
}

// scripts are the static files that pages run, by page.
var scripts = map[string]string{"consent": "consent.js"}

func (t *Toolkit) write(w http.ResponseWriter, status int, name string, view layout) error {
	set, known := t.templates[name]
	if !known {
		return fmt.Errorf("render %s: there is no such template", name)
	}
	var out bytes.Buffer
	if err := set.Execute(&out, view); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if bytes.Contains(out.Bytes(), []byte("<form")) {
		// Under no-referrer, browsers send "Origin: null" with a form, like the page of another site.
		h.Set("Referrer-Policy", "same-origin")
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // a closed connection is no error of ours
	return nil
}

// WriteJSON writes v as one JSON document.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a closed connection is no error of ours
	return nil
}

func section(path string) string {
	switch {
	case strings.HasPrefix(path, "/account/apps"):
		return "apps"
	case strings.HasPrefix(path, "/account/security"):
		return "security"
	case path == "/account", strings.HasPrefix(path, "/account/keys"), strings.HasPrefix(path, "/account/bots"):
		return "profile"
	case strings.HasPrefix(path, "/developer"):
		return "developer"
	}
	return ""
}

// functions are the functions for templates, in addition to those of html/template.
func functions(a assets) template.FuncMap {
	return template.FuncMap{
		"asset":    a.url,
		"once":     once,
		"when":     when,
		"day":      day,
		"ago":      func(at time.Time) template.HTML { return ago(at, time.Now()) },
		"initials": Initials,
		"plural":   plural,
		"counted":  counted,
		"nth":      func(i int) int { return i + 1 },
		"dict":     dict,
	}
}

// day is when without the time of day.
func day(at time.Time) template.HTML { return timeElement(at, at.UTC().Format("2 January 2006")) }

// when is a time for people, with the exact time for programs.
func when(at time.Time) template.HTML {
	return timeElement(at, at.UTC().Format("2 January 2006, 15:04 UTC"))
}

// ago is the time since at in the largest unit that fits; after 30 days it is the date.
func ago(at, now time.Time) template.HTML {
	d := now.Sub(at)
	switch {
	case d < time.Minute:
		return timeElement(at, "just now")
	case d < time.Hour:
		return timeElement(at, plural(int(d/time.Minute), "minute")+" ago")
	case d < 24*time.Hour:
		return timeElement(at, plural(int(d/time.Hour), "hour")+" ago")
	case d < 30*24*time.Hour:
		return timeElement(at, plural(int(d/(24*time.Hour)), "day")+" ago")
	}
	return timeElement(at, "on "+at.UTC().Format("2 January 2006"))
}

// timeElement is safe HTML: both parts come from time formats.
func timeElement(at time.Time, text string) template.HTML {
	if at.IsZero() {
		return "never"
	}
	exact := at.UTC().Format(time.RFC3339)
	return template.HTML(`<time datetime="` + exact + `" title="` + at.UTC().Format("2 January 2006, 15:04 UTC") + `">` + text + `</time>`)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// counted is plural for a number that was counted up to a limit.
func counted(n store.Count, noun string) string {
	if n.More {
		return "at least " + plural(n.N, noun)
	}
	return plural(n.N, noun)
}

// dict passes several named values to a nested template.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict: a name without a value")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is not a name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// Initials are one or two upper-case letters that stand in for a picture.
func Initials(name string) string {
	var letters []rune
	for _, word := range strings.FieldsFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		if letters = append(letters, unicode.ToUpper([]rune(word)[0])); len(letters) == 2 {
			break
		}
	}
	if len(letters) == 0 {
		return "?"
	}
	return string(letters)
}

// Host is the host of an https URL as browsers show it, and empty for any other address.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Host)
}
