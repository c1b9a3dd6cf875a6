package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// PageSize is the number of rows on a page of a list.
const PageSize = 25

// maxPage keeps Offset far from overflow; no list has as many pages.
const maxPage = 1_000_000

// ListQuery is the part of a list that a visitor asks for: the query parameters q and page.
type ListQuery struct {
	Search string // text that a row must contain; empty: every row
	page   int    // from 1
	path   string
}

// ReadListQuery reads which part of a list the URL asks for. A page that is not a number is the first.
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

// Offset is the number of rows before the page.
func (q ListQuery) Offset() int { return (q.page - 1) * PageSize }

// List is the position of a page in its list, for the search field above its rows and the links below.
type List struct {
	Search   string
	Previous string // URL of the previous page; empty on the first
	Next     string // URL of the next page; empty on the last
	Page     int
}

// Navigable reports whether the list has a search field: it has several pages, or was searched.
func (l List) Navigable() bool { return l.Search != "" || l.Previous != "" || l.Next != "" }

// List is the position of the page in the list. more reports whether rows follow.
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

// PageOf returns the requested page of a complete list, for lists that are short enough to be read at once. A row matches by any
// of its texts, in any case.
func PageOf[T any](q ListQuery, rows []T, texts func(T) []string) ([]T, List) {
	if q.Search != "" {
		var found []T
		for _, row := range rows {
			if contains(texts(row), q.Search) {
				found = append(found, row)
			}
		}
		rows = found
	}
	first := min(q.Offset(), len(rows))
	last := min(first+PageSize, len(rows))
	return rows[first:last], q.List(last < len(rows))
}

func contains(texts []string, search string) bool {
	search = strings.ToLower(search)
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), search) {
			return true
		}
	}
	return false
}
