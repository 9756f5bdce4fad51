package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "dukcapil.go.id/sifilma/"

// ground knows nothing of SAM cards.
var ground = []string{
	"audit", "blob", "checkdigit", "clock", "config", "daemon", "docx", "esign", "filetype", "form", "globalplatform", "ical", "idempotency", "journal", "machine", "manifest", "outbox",
	"pkcs11", "postgres", "rabbit", "sealed", "smartcard", "terbilang", "trace", "web", "workday", "xlsx",
}

// office knows nothing of HTTP or AMQP. Each package with the office packages
// that it may import.
var office = map[string][]string{
	"institution": {},
	"register":    {},
	"identity":    {"institution"},
	"need":        {"institution", "identity"},
	"request":     {"institution", "identity", "need"},
	"cardlist":    {"institution", "identity", "register", "request"},
	"validation":  {"institution", "identity", "need", "register", "request", "cardlist"},
	"capacity":    {"institution", "identity", "request"},
	"stock":       {"institution", "identity", "request"},
	"perso":       {"institution", "identity", "register", "request", "cardlist", "capacity", "stock", "cardsecret"},
	"letter":      {"request"},
	"cardsecret":  {},
	"feed":        {"institution", "identity", "request"},
	"handover":    {"institution", "identity", "request", "cardlist", "capacity", "stock", "perso", "letter"},
	"activation":  {"institution", "identity", "request", "cardlist", "capacity", "stock", "perso", "letter", "handover"},
	"stage":       {"institution", "identity", "request", "capacity", "perso", "letter", "handover"},
	"report":      {"institution", "identity", "need", "request", "cardlist", "validation", "capacity", "stock", "perso", "letter", "cardsecret", "handover", "activation", "feed", "stage"},
}

// outside is what the office floor must not know.
var outside = []string{"net/http", "github.com/rabbitmq/amqp091-go", module + "pkg/rabbit", module + "pkg/web"}

func TestImportsRunDownwards(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, p := range goList(t) {
		for _, imported := range p.Imports {
			if reason := forbidden(strings.TrimPrefix(p.ImportPath, module), imported); reason != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, reason)
			}
		}
		seen++
	}
	require.Greater(t, seen, 20, "go list found hardly any package")
}

func TestEveryPackageHasAFloor(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t) {
		floor, name := place(strings.TrimPrefix(p.ImportPath, module))
		if floor == "pkg" {
			t.Errorf("pkg/%s stands on no floor: name it in test/house/imports_test.go and .golangci.yaml", name)
		}
	}
}

func TestForbiddenImportsAreSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"pkg/clock", module + "pkg/request", false},
		{"pkg/clock", module + "schema", false},
		{"pkg/rabbit", module + "schema", true},
		{"pkg/postgres", module + "pkg/clock", true},
		{"pkg/globalplatform/hsmkeys", module + "pkg/perso", false},
		{"pkg/request", module + "pkg/identity", true},
		{"pkg/identity", module + "pkg/request", false},
		{"pkg/request", module + "pkg/need", true},
		{"pkg/need", module + "pkg/request", false},
		{"pkg/letter", module + "pkg/perso", false},
		{"pkg/perso", module + "pkg/capacity", true},
		{"pkg/perso", "net/http", false},
		{"pkg/perso", "net/http/httptest", false},
		{"pkg/perso", module + "pkg/web", false},
		{"pkg/web", "net/http", true},
		{"pkg/request", module + "daemons/portal/internal/pages", false},
		{"pkg/request", module + "test/harness", false},
		{"pkg/perso/persotest", module + "test/harness", true},
		{"pkg/perso/persotest", module + "daemons/intake", false},
		{"daemons/intake", module + "pkg/request", true},
		{"daemons/intake", module + "daemons/intake/internal/drop", true},
		{"daemons/intake/internal/drop", module + "daemons/portal/internal/pages", false},
		{"daemons/intake", module + "test/harness", false},
		{"schema", module + "pkg/postgres", false},
		{"deploy/local", module + "pkg/request", false},
		{"test/harness", module + "pkg/postgres", true},
	} {
		require.Equal(t, c.ok, forbidden(c.from, c.to) == "", "%s -> %s", c.from, c.to)
	}
}

// forbidden says why the package from (path within the module) must not import
// to (full path); empty when it may.
func forbidden(from, to string) string {
	floor, name := place(from)
	if floor == "office" {
		for _, o := range outside {
			if to == o || strings.HasPrefix(to, o+"/") {
				return "the office floor knows nothing of HTTP or AMQP"
			}
		}
	}
	inner, ours := strings.CutPrefix(to, module)
	if !ours {
		return ""
	}
	toFloor, toName := place(inner)
	same := toFloor == floor && toName == name
	switch {
	case same:
		return ""
	case toFloor == "test" && strings.HasSuffix(from, "test"):
		return "" // what the tests of several packages share, named as httptest is
	case floor == "test" || toFloor == "configs" && floor != "schema":
		return ""
	case toFloor == "test":
		return "only tests import test/"
	case toFloor == "daemons":
		return "a daemon is imported by nobody"
	case floor == "daemons":
		return ""
	case floor == "ground" && toFloor == "schema" && name == "rabbit":
		return "" // it checks messages against their schemas
	case floor == "ground" && toFloor != "ground":
		return "the ground floor stands on the ground floor only"
	case floor == "office" && toFloor == "office" && !slices.Contains(office[name], toName):
		return "against the order of the office floor"
	case floor == "office" && toFloor != "office" && toFloor != "ground":
		return "the office floor stands on the ground floor only"
	case floor != "ground" && floor != "office":
		return "it stands below everything"
	}
	return ""
}

// place gives the floor of a package and its name on that floor.
func place(path string) (floor, name string) {
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return parts[0], ""
	}
	if parts[0] == "pkg" {
		if slices.Contains(ground, parts[1]) {
			return "ground", parts[1]
		}
		if _, ok := office[parts[1]]; ok {
			return "office", parts[1]
		}
	}
	return parts[0], parts[1]
}

type listed struct {
	Dir, ImportPath, Name, Doc string
	Imports                    []string
}

func goList(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Name,Doc,Imports", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}
