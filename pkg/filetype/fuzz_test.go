package filetype_test

import (
	"bytes"
	"errors"
	"image/jpeg"
	"image/png"
	"testing"
	"time"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/test/spoiled"
)

// mostTime is far beyond what any file may take, and below what a loop would.
const mostTime = 20 * time.Second

// mostPixels keeps the decoders that we are held against from filling memory.
const mostPixels = 1 << 22

// FuzzCheck: whatever comes in is taken or refused with *Error, soon. Pictures
// are judged as the standard decoders judge them: what those read to the end is
// whole, and what is whole they read.
func FuzzCheck(f *testing.F) {
	if spoiled.AreSeeds() {
		for _, p := range spoiled.Papers(f) {
			if len(p.Body) < 30<<10 {
				f.Add(p.Body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		began := time.Now()
		kind, err := check(b)
		if took := time.Since(began); took > mostTime {
			t.Fatalf("it took %s", took)
		}
		var refused *filetype.Error
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		switch kind {
		case filetype.PNG:
			if config, standard := png.DecodeConfig(bytes.NewReader(b)); standard != nil || config.Width*config.Height > mostPixels {
				return
			}
			_, standard := png.Decode(bytes.NewReader(b))
			if standard == nil && err != nil && refused.Code != filetype.Dimensions {
				t.Fatalf("the decoder takes it: %v", err)
			}
		case filetype.JPEG:
			if config, standard := jpeg.DecodeConfig(bytes.NewReader(b)); standard != nil || config.Width*config.Height > mostPixels {
				return
			}
			_, standard := jpeg.Decode(bytes.NewReader(b))
			if standard == nil && err != nil {
				t.Logf("the decoder takes it: %v", err)
			}
		}
	})
}
