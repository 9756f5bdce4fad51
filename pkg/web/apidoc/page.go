package apidoc

import (
	_ "embed" // the page
	"html/template"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText)) // embedded: parsed in every test
