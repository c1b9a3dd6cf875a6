package harness

import (
	"html"
	"net/url"
	"regexp"
	"strings"
)

var (
	formTag   = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	inputTag  = regexp.MustCompile(`(?s)<input\b([^>]*)>`)
	areaTag   = regexp.MustCompile(`(?s)<textarea\b([^>]*)>(.*?)</textarea>`)
	selectTag = regexp.MustCompile(`(?s)<select\b([^>]*)>(.*?)</select>`)
	optionTag = regexp.MustCompile(`(?s)<option\b([^>]*)>`)
	attribute = regexp.MustCompile(`\s([a-z_-]+)(?:="([^"]*)")?`)
)

func attributes(tag string) map[string]string {
	all := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
		all[m[1]] = html.UnescapeString(m[2])
	}
	return all
}

// Form is what a browser would send of the page's form with that action, unchanged and by a button without a name; nil if
// the page has no such form.
func (a Answer) Form(action string) url.Values {
	for _, m := range formTag.FindAllStringSubmatch(a.Body, -1) {
		if attributes(m[1])["action"] == action {
			return fields(m[2])
		}
	}
	return nil
}

func fields(inside string) url.Values {
	v := url.Values{}
	for _, m := range areaTag.FindAllStringSubmatch(inside, -1) {
		// A line break right after the tag is not part of the text; browsers send others as CRLF.
		text := strings.TrimPrefix(html.UnescapeString(m[2]), "\n")
		v.Add(attributes(m[1])["name"], strings.ReplaceAll(text, "\n", "\r\n"))
	}
	for _, m := range selectTag.FindAllStringSubmatch(inside, -1) {
		options := optionTag.FindAllStringSubmatch(m[2], -1)
		for i, o := range options {
			if _, chosen := attributes(o[1])["selected"]; chosen || i == 0 {
				v.Set(attributes(m[1])["name"], attributes(o[1])["value"])
			}
		}
	}
	for _, m := range inputTag.FindAllStringSubmatch(inside, -1) {
		field := attributes(m[1])
		_, checked := field["checked"]
		if box := field["type"] == "checkbox" || field["type"] == "radio"; field["name"] != "" && (!box || checked) {
			v.Add(field["name"], field["value"])
		}
	}
	return v
}
