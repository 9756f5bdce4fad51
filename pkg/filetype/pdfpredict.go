package filetype

import "errors"

// unpredict undoes the rows of differences that tables are packed with (ISO
// 32000-1, section 7.4.4.4; the PNG filters of RFC 2083, section 6).
func unpredict(b []byte, parameters pdfDict) ([]byte, error) {
	predictor, _ := whole(parameters["Predictor"])
	if predictor < 10 {
		if predictor == 2 {
			return nil, errors.New("a table packed as a picture")
		}
		return b, nil
	}
	columns, ok := whole(parameters["Columns"])
	if !ok {
		columns = 1
	}
	if columns < 1 || columns > 1<<16 {
		return nil, errors.New("rows without a length")
	}
	out := make([]byte, 0, len(b))
	above := make([]byte, columns)
	for len(b) > columns {
		filter, row := b[0], b[1:columns+1]
		b = b[columns+1:]
		begin := len(out)
		for i, c := range row {
			var left, corner byte
			if i > 0 {
				left, corner = out[begin+i-1], above[i-1]
			}
			switch filter {
			case 1:
				c += left
			case 2:
				c += above[i]
			case 3:
				c += byte((int(left) + int(above[i])) / 2)
			case 4:
				c += paeth(left, above[i], corner)
			}
			out = append(out, c)
		}
		above = out[begin:]
	}
	return out, nil
}

func paeth(a, b, c byte) byte {
	pa, pb := int(b)-int(c), int(a)-int(c)
	pc := abs(pa + pb)
	pa, pb = abs(pa), abs(pb)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

func abs(n int) int { return max(n, -n) }
