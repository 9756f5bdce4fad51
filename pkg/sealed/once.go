package sealed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// members are those of a key file that are read here.
var members = []string{"keys", "kty", "crv", "x", "y", "use", "alg", "kid", "exp", "revoked", "revoked_at", "reason", "d"}

// once refuses JSON that gives a member which is read here twice in one object, or as null:
// Go's decoder takes the last of them, in whatever case its letters are, and null for none.
// A key that was revoked in the first would come back with the second.
func once(file []byte) error {
	return onceIn(json.NewDecoder(bytes.NewReader(file)), false)
}

func onceIn(d *json.Decoder, read bool) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("%w: %v", ErrForm, err) //nolint:errorlint // the form is what is told
	}
	if read && t == nil {
		return fmt.Errorf("%w: a member that is null", ErrForm)
	}
	if t != json.Delim('{') && t != json.Delim('[') {
		return nil
	}
	seen := make([]bool, len(members))
	for d.More() {
		read := false
		if t == json.Delim('{') {
			name, err := d.Token()
			if err != nil {
				return fmt.Errorf("%w: %v", ErrForm, err) //nolint:errorlint // as above
			}
			if i := slices.IndexFunc(members, func(m string) bool { return strings.EqualFold(m, fmt.Sprint(name)) }); i >= 0 {
				if seen[i] {
					return fmt.Errorf("%w: %s is there twice", ErrForm, members[i])
				}
				seen[i], read = true, true
			}
		}
		if err := onceIn(d, read); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
