package public

import (
	"errors"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/pkg/feed"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// own is the account whose feeds somebody looks after; empty for keepers, who end
// anybody's.
func own(who identity.Account) string {
	if masterdata.May(who.Role) {
		return ""
	}
	return who.ID
}

// unknown says of what is not there that it is not.
func unknown(err error) error {
	if errors.Is(err, report.ErrNotFound) || errors.Is(err, feed.ErrNotFound) {
		return web.NotFound("Alamat langganan ini tidak ada, atau sudah dicabut. Buat yang baru pada halaman permohonan.")
	}
	return err
}
