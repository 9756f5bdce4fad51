package main

import (
	"context"
	"flag"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/letter/template"
)

// Marks in configs/templates/README.md between which the table of tags stands.
const (
	tagsBegin = "<!-- tags -->"
	tagsEnd   = "<!-- /tags -->"
)

// withTags puts the table between the marks of a text.
func withTags(text string) (string, error) {
	return between(text, tagsBegin, tagsEnd, "\n"+template.Guide())
}

func runTags(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("tags", flag.ContinueOnError)
	path := fs.String("write", "", "tulis tabel ke `berkas` di antara kedua tandanya")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *path == "" {
		fmt.Print(template.Guide())
		return nil
	}
	return rewrite(*path, withTags)
}
