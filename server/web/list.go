package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// PageSize is how many rows a page of a list has.
const PageSize = 25

// maxPage keeps the number of the first row far from overflow; no list has as many pages.
const maxPage = 1_000_000

// ListQuery is the part of a list that a visitor asks for: the query parameters q and page.
type ListQuery struct {
	Search string // text that a row must hold; "" for every row
	page   int    // from 1
	path   string
}

// ReadListQuery reads what part of a list the address asks for. A page that is no number is the first.
func ReadListQuery(r *http.Request) (ListQuery, error) {
	values, err := ParseQuery(r)
	if err != nil {
		return ListQuery{}, err
	}
	q := ListQuery{Search: strings.TrimSpace(values.Get("q")), page: 1, path: r.URL.Path}
	if n, err := strconv.Atoi(values.Get("page")); err == nil && n > 1 {
		q.page = min(n, maxPage)
	}
	return q, nil
}

// Offset is how many rows come before the page.
func (q ListQuery) Offset() int { return (q.page - 1) * PageSize }

// List is a page's place in its list, for the search field above its rows and the links below.
type List struct {
	Search   string
	Previous string // address of the page before, "" on the first
	Next     string // address of the page after, "" on the last
	Page     int
}

// Navigable reports whether the list has a search field: it has several pages, or is narrowed already.
func (l List) Navigable() bool { return l.Search != "" || l.Previous != "" || l.Next != "" }

// List is the page's place in the list, which goes on after it if more is true.
func (q ListQuery) List(more bool) List {
	l := List{Search: q.Search, Page: q.page}
	if q.page > 1 {
		l.Previous = q.address(q.page - 1)
	}
	if more {
		l.Next = q.address(q.page + 1)
	}
	return l
}

func (q ListQuery) address(page int) string {
	values := url.Values{}
	if q.Search != "" {
		values.Set("q", q.Search)
	}
	if page > 1 {
		values.Set("page", strconv.Itoa(page))
	}
	if len(values) == 0 {
		return q.path
	}
	return q.path + "?" + values.Encode()
}

// PageOf takes the visitor's page out of a whole list that is short enough to be read at once. A row is found by any of its
// texts, without regard to case.
func PageOf[T any](q ListQuery, rows []T, texts func(T) []string) ([]T, List) {
	if q.Search != "" {
		var found []T
		for _, row := range rows {
			if holds(texts(row), q.Search) {
				found = append(found, row)
			}
		}
		rows = found
	}
	first := min(q.Offset(), len(rows))
	last := min(first+PageSize, len(rows))
	return rows[first:last], q.List(last < len(rows))
}

func holds(texts []string, search string) bool {
	search = strings.ToLower(search)
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), search) {
			return true
		}
	}
	return false
}
