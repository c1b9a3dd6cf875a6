// Package static embeds the files that pages load: one stylesheet and a few pictures.
package static

import "embed"

// Files holds the files.
//
//go:embed *.css *.svg
var Files embed.FS
