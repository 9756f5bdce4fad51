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

// Whoever came from the intake goes back to it, by the address that we know it by.
func TestOnwardToTheIntake(t *testing.T) {
	t.Parallel()
	p := &Pages{intake: "https://masuk.example/intake"}
	for text, want := range map[string]string{
		"/pengajuan": "https://masuk.example/intake/pengajuan", "/pengajuan?tiket=PSAM-1": "https://masuk.example/intake/pengajuan?tiket=PSAM-1",
		"/pengajuan/../x": "", "//evil.example/pengajuan": "", "https://evil.example/pengajuan": "", "/permohonan": "", "/pengajuan\r\nX: y": "",
		"": "",
	} {
		if got := p.onward(text); got != want {
			t.Errorf("%q leads to %q, not %q", text, got, want)
		}
		next := "/permohonan"
		if want != "" {
			next = text
		}
		if got := p.nextPath(text); got != next {
			t.Errorf("after %q comes %q, not %q", text, got, next)
		}
	}
	if got := (&Pages{}).nextPath("/pengajuan"); got != "/permohonan" {
		t.Errorf("without an intake comes %q", got)
	}
}
