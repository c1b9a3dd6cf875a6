// Package static embeds the files that pages load: one stylesheet, one script, and a few pictures.
package static

import "embed"

// Files holds the files.
//
//go:embed *.css *.js *.svg
var Files embed.FS
