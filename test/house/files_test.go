package house

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/harness"
)

const (
	maxLines     = 500
	maxMainLines = 100
)

// lineBound are the kinds of files people read from top to bottom.
var lineBound = map[string]bool{
	".go": true, ".sql": true, ".sh": true, ".md": true, ".html": true, ".css": true, ".js": true, ".yaml": true,
}

// wholeByNature are files that are looked things up in, and that the world's
// tools want in one piece.
var wholeByNature = map[string]bool{"schema/openapi.yaml": true}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestFilesStaySmall(t *testing.T) {
	t.Parallel()
	for path, text := range tracked(t) {
		lines := bytes.Count(text, []byte("\n"))
		if lineBound[filepath.Ext(path)] && !wholeByNature[path] && lines > maxLines {
			t.Errorf("%s has %d lines; split it by responsibility (%d at most)", path, lines, maxLines)
		}
		if ok, _ := filepath.Match("daemons/*/main.go", path); ok && lines >= maxMainLines {
			t.Errorf("%s has %d lines; main only wires (under %d)", path, lines, maxMainLines)
		}
	}
}

// Patterns are put together from halves, so that this file does not match itself.
var (
	machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_.$})/-])/(` + strings.Join([]string{"work", "root", "tmp", `home/\w`, "Users"}, "|") + `)/`)
	registry    = regexp.MustCompile(strings.Join([]string{`proxy\.golang` + `\.org`, `registry\.npmjs` + `\.org`, `deb\.debian` + `\.org`, `pypi` + `\.org`}, "|"))
	unfinished  = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	skipping    = regexp.MustCompile(`\bt\.Skip` + `(f|Now)?\(`)
	sleeping    = regexp.MustCompile(`\btime\.Sleep` + `\(`)
)

func TestFilesKeepTheRules(t *testing.T) {
	t.Parallel()
	for path, text := range tracked(t) {
		if bytes.IndexByte(text, 0) >= 0 {
			continue // not text
		}
		isTest := strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "test/")
		for _, rule := range []struct {
			pattern *regexp.Regexp
			applies bool
			says    string
		}{
			{machinePath, path != "go.sum", "names a path of one machine"},
			{registry, path != "go.sum", "names the host of a package registry"},
			{unfinished, filepath.Ext(path) == ".go" || filepath.Ext(path) == ".sql", "is marked unfinished"},
			{skipping, isTest, "skips a test"},
			{sleeping, isTest, "sleeps in a test"},
		} {
			if at := rule.pattern.FindIndex(text); rule.applies && at != nil {
				line := 1 + bytes.Count(text[:at[0]+1], []byte("\n"))
				t.Errorf("%s:%d %s: %q", path, line, rule.says, bytes.TrimSpace(text[at[0]:at[1]]))
			}
		}
	}
}

func TestTheRulesCatchWhatTheyShould(t *testing.T) {
	t.Parallel()
	require.True(t, machinePath.MatchString(`"`+"/ro"+`ot/go"`))
	require.True(t, machinePath.MatchString("/ho"+"me/x/y"))
	require.False(t, machinePath.MatchString("$base/tmp/x"))
	require.False(t, machinePath.MatchString("pkg/work/x"))
	require.True(t, sleeping.MatchString("time.Sl"+"eep(1)"))
	require.False(t, unfinished.MatchString("METODO"))
}

func TestEveryFloorHasAMap(t *testing.T) {
	t.Parallel()
	files := tracked(t)
	for path := range files {
		top, _, nested := strings.Cut(path, "/")
		if nested && !strings.HasPrefix(top, ".") && files[top+"/README.md"] == nil {
			t.Errorf("%s/ has no README.md", top)
			files[top+"/README.md"] = []byte("reported")
		}
	}
}

// tracked reads the files under version control by their path in the repository.
func tracked(t *testing.T) map[string][]byte {
	t.Helper()
	root, err := harness.Root()
	require.NoError(t, err)
	// A clone may belong to another user than the one who tests it.
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z")
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err, "git ls-files")
	files := map[string][]byte{}
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, path))
		if os.IsNotExist(err) {
			continue // removed, not yet committed
		}
		require.NoError(t, err)
		files[path] = text
	}
	require.NotEmpty(t, files)
	return files
}
