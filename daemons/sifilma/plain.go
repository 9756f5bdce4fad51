package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// parse reads the options of a command; what package flag says in English is said in
// Indonesian. The help goes to standard output.
func parse(options *flag.FlagSet, help string, args []string) error {
	options.Usage = func() {}
	options.SetOutput(io.Discard)
	err := options.Parse(args)
	if err == nil {
		return nil
	}
	if errors.Is(err, flag.ErrHelp) {
		options.SetOutput(os.Stdout)
		_, _ = fmt.Fprint(os.Stdout, help)
		options.PrintDefaults()
		return err
	}
	for said, plain := range map[string]string{
		"flag provided but not defined: ": "pilihan %s tidak dikenal",
		"flag needs an argument: ":        "pilihan %s perlu nilai di belakangnya",
	} {
		if option, ok := strings.CutPrefix(err.Error(), said); ok {
			return fmt.Errorf(plain+"; sifilma %s -h menjelaskan pilihannya", option, options.Name())
		}
	}
	return fmt.Errorf("ada pilihan yang nilainya tidak terbaca; sifilma %s -h menjelaskan pilihannya", options.Name())
}

// urlExample is how the address of the database is written.
const urlExample = "-url postgres://pemilik@alamat-server:5432/sifilma"

// openOwner opens the database for its owner. Its errors are for people.
func openOwner(c postgres.Config) (*postgres.DB, error) {
	if c.URL == "" {
		return nil, errors.New("alamat basis data belum disebut. Tambahkan " + urlExample + " -password-file BERKAS, dengan peran pemilik skema")
	}
	if c.Validate() != nil {
		return nil, errors.New("alamat pada -url tidak terbaca. Tulis seperti " + urlExample)
	}
	if c.PasswordFile != "" {
		if _, err := config.Secret(c.PasswordFile); err != nil {
			if plain := plainFile(err); plain != nil {
				return nil, plain
			}
			return nil, fmt.Errorf("berkas kata sandi %s kosong. Isi dengan kata sandi peran pemilik skema", c.PasswordFile)
		}
	}
	db, err := postgres.Open(c)
	if err != nil {
		return nil, errors.New("basis data tidak dapat dibuka dengan -url itu. Tulis seperti " + urlExample)
	}
	return db, nil
}

// plainFile says what is wrong with a file that could not be read; nil when it is
// something else.
func plainFile(err error) error {
	var path *fs.PathError
	switch {
	case !errors.As(err, &path):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("berkas %s tidak ada. Periksa nama dan foldernya", path.Path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("berkas %s tidak boleh dibaca oleh pengguna ini. Minta hak bacanya", path.Path)
	}
	return fmt.Errorf("berkas %s tidak dapat dibaca. Pastikan itu sebuah berkas, bukan folder, dan medianya tidak rusak", path.Path)
}

// inPlain says what a person who imports can do about a fault of the database or of a
// file. What nobody foresaw keeps its technical words, marked as such.
func inPlain(err error) error {
	var server interface{ SQLState() string }
	var dial net.Error
	switch plain := plainFile(err); {
	case plain != nil:
		return plain
	case errors.As(err, &server), errors.Is(err, pq.ErrSSLNotSupported):
		if plain := ofDatabase(err); plain != nil {
			return plain
		}
		return fmt.Errorf("basis data menolak perintah ini. Sampaikan rincian teknis berikut kepada pengelola sistem: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("basis data tidak selesai pada waktunya; tidak ada yang disimpan dari berkas ini. Ulangi perintahnya saat kantor tidak sibuk")
	case errors.Is(err, context.Canceled):
		return errors.New("perintah dihentikan; tidak ada yang disimpan dari berkas ini. Ulangi perintahnya")
	case errors.As(err, &dial):
		return ofDatabase(err)
	case errors.Is(err, postgres.ErrCommitUnknown):
		return errors.New("sambungan terputus tepat saat menyimpan. Ulangi perintahnya: baris yang sudah masuk tidak masuk dua kali")
	}
	if !foreseen(err) {
		return fmt.Errorf("terjadi kesalahan yang tidak terduga. Sampaikan rincian teknis berikut kepada pengelola sistem: %w", err)
	}
	return err
}

// ofDatabase says what a person can do about a fault of the database or of the way to it;
// nil for one that nobody foresaw, and for other errors.
func ofDatabase(err error) error {
	var server interface{ SQLState() string }
	var dial net.Error
	switch {
	case errors.As(err, &server):
		if said := serverSays(server.SQLState()); said != "" {
			return errors.New(said)
		}
	case errors.Is(err, pq.ErrSSLNotSupported):
		return errors.New("server PostgreSQL pada -url tidak memakai TLS. Bila server itu di mesin ini, tambahkan ?sslmode=disable di ujung -url; bila tidak, nyalakan TLS-nya")
	case errors.As(err, &dial):
		return errors.New("server PostgreSQL pada -url tidak dapat dihubungi. Periksa alamat dan porta, dan pastikan servernya berjalan")
	}
	return nil
}

// foreseen errors say in Indonesian what to do.
func foreseen(err error) bool {
	return errors.Is(err, oldregister.ErrOrder) || errors.Is(err, oldregister.ErrFaulty) ||
		errors.Is(err, oldregister.ErrBusy) || errors.Is(err, oldregister.ErrTaken)
}

// serverSays is what an error code of PostgreSQL means to a person here.
func serverSays(code string) string {
	switch {
	case code == "28P01":
		return "kata sandi atau nama peran pada -url salah. Periksa isi -password-file dan nama peran pemilik skema"
	case strings.HasPrefix(code, "28"):
		return "server PostgreSQL menolak peran pada -url. Pakai peran pemilik skema, atau minta hak masuknya kepada pengelola basis data"
	case code == "3D000":
		return "basis data yang disebut pada -url tidak ada. Periksa namanya di ujung -url"
	case code == "42501":
		return "peran pada -url tidak berhak atas ini. Pakai peran pemilik skema"
	case code == "42P01", code == "42703", code == "42883":
		return "skema basis data belum disiapkan untuk versi ini. Jalankan sifilma migrate lebih dahulu"
	case code == "25006":
		return "server pada -url hanya dapat dibaca. Sebutkan alamat server utamanya"
	case strings.HasPrefix(code, "53"):
		return "server PostgreSQL kehabisan tempat atau sambungan. Hubungi pengelola basis data, lalu ulangi"
	case strings.HasPrefix(code, "40"), code == "55P03":
		return "basis data sedang dipakai bersamaan, dan yang terakhir ini tidak tersimpan. Ulangi perintahnya"
	case strings.HasPrefix(code, "57"), strings.HasPrefix(code, "08"):
		return "server PostgreSQL sedang berhenti atau memutus sambungan. Ulangi sesudah server berjalan"
	}
	return ""
}
