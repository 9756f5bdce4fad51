package vectors

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A vector that no test loads proves nothing.
func TestEveryVectorIsUsed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	root := filepath.Join("..", "..")
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		loaded(file, used)
		return nil
	}))
	all := everything(t)
	require.GreaterOrEqual(t, len(all), 34)
	for id := range all {
		if !used[id] {
			t.Errorf("vector %s is loaded by no test", id)
		}
	}
}

// loaded collects the ids in calls of vectors.Load and vectors.One.
func loaded(file *ast.File, used map[string]bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun := call.Fun
		if typed, ok := fun.(*ast.IndexExpr); ok {
			fun = typed.X
		}
		name, ok := fun.(*ast.SelectorExpr)
		if !ok || name.Sel.Name != "Load" && name.Sel.Name != "One" {
			return true
		}
		if of, ok := name.X.(*ast.Ident); !ok || of.Name != "vectors" {
			return true
		}
		for _, argument := range call.Args {
			if id, ok := argument.(*ast.BasicLit); ok && id.Kind == token.STRING {
				text, _ := strconv.Unquote(id.Value)
				used[text] = true
			}
		}
		return true
	})
}
