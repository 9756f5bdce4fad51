package pages

import (
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
)

// recipeGuide says what stands where in the content of each kind of edition, for whoever
// writes one.
var recipeGuide = map[recipe.Kind][]fact{
	recipe.Profile: {
		{"name, version", "nama profil (huruf kecil, angka, tanda hubung) dan nomor edisinya"},
		{"channel", "protocol scp02, scp03, atau none; option: parameter i kartu; security_level: tingkat pengamanan perintah, heksadesimal"},
		{"domain", "AID domain penerbit pada kartu"},
		{"keys", "bytes: panjang kunci kartu (16, 24, 32); diversification: kdf3, emv, visa2, atau an10922"},
		{"identify", "chip: pengenal chip (cplc atau uid_sam); serial.from: nomor seri dibaca dari chip (chip, dengan object cin), dari pemindai (barcode), " +
			"atau dicari menurut kolom UID daftar kartu (uid_column, dengan column UID)"},
		{"data", "tag objek data kartu untuk penanda, PCID, rahasia (CONF), dan nomor manifest"},
		{"read", "hanya untuk protocol none: bagaimana tiap isi dibaca kembali"},
		{"steps", "langkah berurutan; shows: isi yang dapat dilihat sesudahnya. Langkah send adalah satu perintah sendiri, dengan name dan apdu"},
		{"timeouts", "command: satu perintah; card: satu kartu seluruhnya, misalnya 10s dan 2m"},
		{"status_words", "arti jawaban kartu: refuses kartu gagal, unknown hasil meragukan, retry dan wait diulang, stop kartu gagal dan lot dihentikan; yang tidak disebut berarti refuses"},
		{"retries", "boleh tidak ada: times berapa kali diulang, wait jedanya"},
		{"lot", "boleh tidak ada: first_card true berarti kartu pertama lot disetujui orang dahulu; stop_after: lot ditahan sesudah sekian kartu gagal berturut-turut dengan sebab yang sama, bawaan 3"},
	},
	recipe.KeyCode: {
		{"code, version, name", "kode, nomor edisi, dan nama Kode Kunci"},
		{"transport", "kunci kartu baru dari pembuat chip: version nomor versi kuncinya pada kartu (heksadesimal), master label kunci induknya di HSM"},
		{"final", "kunci kartu jadi, sama bentuknya; nomor versinya lain daripada transport. sifilma keys rotate menulis konsep ini sendiri"},
		{"secret_wrap", "label kunci di HSM yang menyegel rahasia kartu"},
	},
	recipe.SAMType: {
		{"code, version, name", "kode, nomor edisi, dan nama jenis SAM"},
		{"default", "true untuk jenis yang dipakai bila tidak ada yang lebih cocok; satu saja"},
		{"uses", "permohonan mana yang memakainya: kind (reader atau rekam_cetak) dan sam_function (R, Rekam, atau Cetak); kosong untuk default"},
		{"profile, key_code", "nama profil dan kode Kode Kunci; yang dipakai adalah edisi yang berlaku"},
	},
	recipe.Numbers: {
		{"code, version, name", "kode, nomor edisi, dan nama pola"},
		{"pcid", "pola 32 digit heksadesimal: {epoch:N} dan {counter:N} masing-masing sekali, N banyaknya digit"},
		{"manifest", "pola nomor manifest; boleh memuat {year}. Epoch naik sesudah pemulihan cadangan, dan pencacah naik untuk tiap kartu, supaya nomor tidak pernah terulang"},
	},
}

// example is an edition of this kind that new ones may be made after: one in force, else
// any; nil for none.
func example(all []recipe.Recipe, k recipe.Kind) *recipe.Recipe {
	var found *recipe.Recipe
	for i := range all {
		if one := &all[i]; one.Kind == k && (found == nil || one.State == machine.State(recipe.Active) && found.State != one.State) {
			found = one
		}
	}
	return found
}
