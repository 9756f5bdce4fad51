package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// Problem is an RFC 9457 problem. Title and Detail are Indonesian. It is an error,
// so a handler may return it.
type Problem struct {
	Type     string       `json:"type"` // urn:sifilma:problem:<code>; the code is part of the API
	Title    string       `json:"title"`
	Status   int          `json:"status"`
	Detail   string       `json:"detail,omitempty"`
	Instance string       `json:"instance,omitempty"` // urn:uuid: of the request
	Errors   []FieldError `json:"errors,omitempty"`
	TraceID  string       `json:"trace_id,omitempty"`

	// RetryAfter, when positive, becomes the Retry-After header in whole seconds.
	RetryAfter time.Duration `json:"-"`
}

// FieldError is one finding about the input.
type FieldError struct {
	Pointer string `json:"pointer"` // RFC 6901, or a form field as /name
	Code    string `json:"code"`    // stable, English
	Detail  string `json:"detail"`  // Indonesian
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail) }

// WithCode returns a copy of p whose type is urn:sifilma:problem:<code>.
func (p *Problem) WithCode(code string) *Problem {
	q := *p
	q.Type = typePrefix + code
	return &q
}

// Code is the last part of p's type.
func (p *Problem) Code() string { return strings.TrimPrefix(p.Type, typePrefix) }

const typePrefix = "urn:sifilma:problem:"

var kinds = map[int]struct{ code, title string }{
	http.StatusBadRequest:            {"bad-request", "Permintaan tidak dapat dibaca"},
	http.StatusUnauthorized:          {"unauthenticated", "Anda belum masuk"},
	http.StatusForbidden:             {"forbidden", "Akses ditolak"},
	http.StatusNotFound:              {"not-found", "Tidak ditemukan"},
	http.StatusMethodNotAllowed:      {"method-not-allowed", "Metode tidak didukung"},
	http.StatusConflict:              {"conflict", "Bertentangan dengan keadaan terkini"},
	http.StatusPreconditionFailed:    {"precondition-failed", "Data sudah berubah"},
	http.StatusRequestEntityTooLarge: {"too-large", "Isi permintaan terlalu besar"},
	http.StatusUnsupportedMediaType:  {"unsupported-media-type", "Jenis isi tidak didukung"},
	http.StatusUnprocessableEntity:   {"unprocessable", "Data belum memenuhi syarat"},
	http.StatusPreconditionRequired:  {"precondition-required", "Versi data wajib disertakan"},
	http.StatusTooManyRequests:       {"too-many-requests", "Terlalu banyak permintaan"},
	http.StatusInternalServerError:   {"internal", "Terjadi gangguan pada sistem"},
	http.StatusServiceUnavailable:    {"unavailable", "Layanan sedang tidak tersedia"},
}

// NewProblem returns the problem of an HTTP status with its Indonesian title.
func NewProblem(status int, detail string) *Problem {
	k, ok := kinds[status]
	if !ok {
		k.code, k.title = strconv.Itoa(status), "Permintaan tidak dapat dilayani"
	}
	return &Problem{Type: typePrefix + k.code, Title: k.title, Status: status, Detail: detail}
}

// BadRequest is 400: the request cannot be read.
func BadRequest(detail string, errs ...FieldError) *Problem {
	p := NewProblem(http.StatusBadRequest, detail)
	p.Errors = errs
	return p
}

// Unauthorized is 401: nobody, or nobody known, is asking.
func Unauthorized(detail string) *Problem { return NewProblem(http.StatusUnauthorized, detail) }

// Forbidden is 403: the one asking may not do this.
func Forbidden(detail string) *Problem { return NewProblem(http.StatusForbidden, detail) }

// NotFound is 404: no such thing, or none the one asking may know of.
func NotFound(detail string) *Problem { return NewProblem(http.StatusNotFound, detail) }

// MethodNotAllowed is 405.
func MethodNotAllowed() *Problem {
	return NewProblem(http.StatusMethodNotAllowed, "Alamat ini tidak melayani metode tersebut.")
}

// Conflict is 409: the present state does not allow it.
func Conflict(detail string) *Problem { return NewProblem(http.StatusConflict, detail) }

// PreconditionFailed is 412: the version in If-Match is not the present one.
func PreconditionFailed(detail string) *Problem {
	return NewProblem(http.StatusPreconditionFailed, detail)
}

// TooLarge is 413; limit is in bytes.
func TooLarge(limit int64) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, "Ukuran isi permintaan paling besar "+size(limit)+".")
}

// UnsupportedMedia is 415.
func UnsupportedMedia(detail string) *Problem {
	return NewProblem(http.StatusUnsupportedMediaType, detail)
}

// Unprocessable is 422: well formed, but the data breaks a rule.
func Unprocessable(detail string, errs ...FieldError) *Problem {
	p := NewProblem(http.StatusUnprocessableEntity, detail)
	p.Errors = errs
	return p
}

// PreconditionRequired is 428: If-Match is missing.
func PreconditionRequired() *Problem {
	return NewProblem(http.StatusPreconditionRequired, "Sertakan kepala If-Match berisi ETag dari jawaban GET, "+
		"lengkap dengan tanda kutipnya, misalnya If-Match: \"7\".")
}

// TooMany is 429.
func TooMany(retryAfter time.Duration) *Problem {
	p := NewProblem(http.StatusTooManyRequests, "Coba lagi "+strconv.Itoa(max(1, seconds(retryAfter)))+" detik lagi.")
	p.RetryAfter = retryAfter
	return p
}

// seconds are whole ones, rounded up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Internal is 500; what went wrong is in the log under the trace id.
func Internal() *Problem {
	return NewProblem(http.StatusInternalServerError, "Kesalahan ini sudah dicatat. Sebutkan nomor jejak bila melapor.")
}

// Unavailable is 503: a part of the system is away and will return.
func Unavailable(retryAfter time.Duration) *Problem {
	p := NewProblem(http.StatusServiceUnavailable, "Bagian sistem yang diperlukan sedang tidak dapat dihubungi. Silakan coba lagi.")
	p.RetryAfter = retryAfter
	return p
}

// size writes a number of bytes the Indonesian way.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + " KB"
	}
	return strconv.FormatInt(n, 10) + " bita"
}

// WriteProblem answers with p as application/problem+json.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Instance == "" && RequestID(r.Context()) != "" {
		p.Instance = "urn:uuid:" + RequestID(r.Context())
	}
	if p.TraceID == "" {
		p.TraceID = trace.ID(trace.From(r.Context()))
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(p.RetryAfter)))
	}
	if p.Status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 11.6.1
	}
	write(w, r, p.Status, "application/problem+json", p)
}

// WriteJSON answers with v as application/json.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	write(w, r, status, "application/json", v)
}

func write(w http.ResponseWriter, r *http.Request, status int, mediaType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		zerolog.Ctx(r.Context()).Error().Err(err).Msg("answer cannot be written as JSON")
		status, mediaType = http.StatusInternalServerError, "application/problem+json"
		b, _ = json.Marshal(Internal()) // plain strings always marshal
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client may be gone
}

// Handle makes a handler of a function that returns its error.
func Handle(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			WriteError(w, r, err)
		}
	}
}

// WriteError answers with the problem that err is or means; see the package comment.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	WriteProblem(w, r, *ProblemOf(r.Context(), err))
}

// retryAfter is what a client is asked to wait for a part that is away.
const retryAfter = 5 * time.Second

// ProblemOf returns the problem that err is or means, and logs what the answer hides.
func ProblemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return TooLarge(tooLarge.Limit)
	case errors.Is(err, postgres.ErrStale):
		return Conflict("Data ini baru saja diubah oleh pihak lain. Muat ulang lalu coba kembali.")
	case postgres.IsUnstorable(err):
		return BadRequest("Alamat atau isian memuat karakter yang tidak dapat dipakai. Periksa, lalu coba kembali.")
	case postgres.Foreign(err):
		if !errors.Is(err, context.Canceled) { // the client went away
			refused(ctx, err)
		}
		return Unavailable(retryAfter)
	}
	zerolog.Ctx(ctx).Error().Err(err).Msg("request failed")
	return Internal()
}
