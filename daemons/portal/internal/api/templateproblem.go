package api

import (
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/web"
)

// TemplateProblem says what is wrong with a template that was sent in: its reason is
// called a note there.
func TemplateProblem(err error) error {
	var known *template.KnownError
	switch {
	case errors.As(err, &known):
		return invalid("/file", "used", fmt.Sprintf("Berkas ini sama dengan edisi %d. Bila edisi itu hendak dipakai lagi, usulkan dari halamannya.", known.Edition))
	case errors.Is(err, template.ErrReasonMissing):
		return missing("/note", "Tulis apa yang berubah pada templat ini.")
	}
	return err
}

func notSampled() error {
	return web.Conflict("Contoh cetaknya belum jadi, sehingga belum ada yang dapat diperiksa. Tunggu sampai contoh itu ada, lalu setujui.").WithCode("not-sampled")
}
