// Package templates embeds the HTML of all pages: layout.html frames every page, parts.html holds what several share.
package templates

import "embed"

// Files holds the templates.
//
//go:embed *.html
var Files embed.FS
