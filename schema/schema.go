// Package schema holds everything that the parts of the office agree on in
// writing: the SQL migrations of the database, the JSON Schemas of the messages
// and the OpenAPI description of the HTTP API. All are embedded, so that a binary
// carries the schema that it was built for and can say at its start whether the
// database matches.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed messages/*.json
var messages embed.FS

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI returns the description of the HTTP API of all daemons: YAML, OpenAPI
// 3.1. The caller must not change it.
func OpenAPI() []byte { return openAPI }

// Migrations returns the migration files, named NNNN_name.sql, in one flat
// file system.
func Migrations() fs.FS { return sub(migrations, "migrations") }

// Messages returns one JSON Schema per message type, named <type>.json.
func Messages() fs.FS { return sub(messages, "messages") }

// Version is the number of the newest migration: the schema version that this
// binary needs.
func Version() int {
	entries, err := fs.ReadDir(Migrations(), ".")
	if err != nil || len(entries) == 0 {
		panic("schema: no embedded migrations")
	}
	var version int
	newest := entries[len(entries)-1].Name()
	if _, err := fmt.Sscanf(newest, "%04d_", &version); err != nil {
		panic("schema: migration " + newest + " has no number")
	}
	return version
}

func sub(files embed.FS, dir string) fs.FS {
	flat, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the directory is embedded above: cannot happen
	}
	return flat
}
