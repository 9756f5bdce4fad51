package globalplatform

import "fmt"

// TLV is one BER-TLV data object with a definite length (ISO 7816-4 5.2.2).
type TLV struct {
	Tag   uint32
	Value []byte
}

// ParseTLV reads data objects until the data ends. Filler bytes 00 and FF
// between objects are passed over. Tags have at most three bytes and lengths at
// most two, as short APDUs allow.
func ParseTLV(data []byte) ([]TLV, error) {
	var out []TLV
	for i := 0; i < len(data); {
		if data[i] == 0x00 || data[i] == 0xFF {
			i++
			continue
		}
		one, n, err := readTLV(data[i:])
		if err != nil {
			return nil, err
		}
		out = append(out, one)
		i += n
	}
	return out, nil
}

func readTLV(data []byte) (one TLV, used int, err error) {
	one.Tag = uint32(data[0])
	i := 1
	if data[0]&0x1F == 0x1F {
		for {
			if i >= len(data) || i > 2 {
				return TLV{}, 0, fmt.Errorf("%w: tag", ErrMalformed)
			}
			one.Tag = one.Tag<<8 | uint32(data[i])
			i++
			if data[i-1]&0x80 == 0 {
				break
			}
		}
	}
	if i >= len(data) {
		return TLV{}, 0, fmt.Errorf("%w: tag %X without length", ErrMalformed, one.Tag)
	}
	length := int(data[i])
	i++
	if length >= 0x80 {
		bytes := length & 0x7F
		if bytes < 1 || bytes > 2 || i+bytes > len(data) {
			return TLV{}, 0, fmt.Errorf("%w: length of tag %X", ErrMalformed, one.Tag)
		}
		length = 0
		for range bytes {
			length = length<<8 | int(data[i])
			i++
		}
	}
	if length > len(data)-i {
		return TLV{}, 0, fmt.Errorf("%w: tag %X promises %d bytes, %d are there", ErrMalformed, one.Tag, length, len(data)-i)
	}
	one.Value = data[i : i+length : i+length]
	return one, i + length, nil
}

// findTLV is the value of the first object with this tag on the top level.
func findTLV(data []byte, tag uint32) ([]byte, error) {
	all, err := ParseTLV(data)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.Tag == tag {
			return one.Value, nil
		}
	}
	return nil, fmt.Errorf("%w: no tag %X", ErrMalformed, tag)
}

// encodeTLV writes one object. The tag is written as its one to three bytes.
func encodeTLV(tag uint32, value []byte) ([]byte, error) {
	var out []byte
	switch {
	case tag == 0 || tag > 0xFFFFFF || len(value) > 0xFFFF:
		return nil, fmt.Errorf("%w: object %X of %d bytes", ErrCommand, tag, len(value))
	case tag > 0xFFFF:
		out = append(out, byte(tag>>16), byte(tag>>8))
	case tag > 0xFF:
		out = append(out, byte(tag>>8))
	}
	out = append(out, byte(tag))
	switch n := len(value); {
	case n > 0xFF:
		out = append(out, 0x82, byte(n>>8), byte(n))
	case n > 0x7F:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, byte(n))
	}
	if one, used, err := readTLV(append(out, value...)); err != nil || one.Tag != tag || used != len(out)+len(value) {
		return nil, fmt.Errorf("%w: %X is no tag", ErrCommand, tag)
	}
	return append(out, value...), nil
}
