package pages

import (
	"net/url"
	"strings"
	"testing"
)

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/permohonan/x?a=b", "//evil.example/permohonan", "/permohonan/../..//evil.example", "https:/permohonan", "/\\evil"} {
		f.Add(s)
	}
	base, err := url.Parse("https://portal.example/masuk")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		to, err := base.Parse(localPath(text))
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme || !strings.HasPrefix(to.Path, "/") {
			t.Fatalf("%q leads to %v (%v)", text, to, err)
		}
	})
}
