package xlsx

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// mostStyles is Excel's own limit on cell formats.
const mostStyles = 65_490

// numberFormat is what a cell format makes of a number.
type numberFormat struct {
	date   bool // shows it as a date or time
	masked bool // shows zeros or letters that are not in it
}

// readStyles notes for each cell format what it makes of numbers.
func (w *Workbook) readStyles() error {
	custom := make(map[int]numberFormat)
	inCells := false
	depth := 0
	return w.scan(w.stylesPart, func(s *scanner, tag string) error {
		switch tag {
		case "numFmt":
			code, err := s.attrText("formatCode")
			if err != nil {
				return err
			}
			if id, err := strconv.Atoi(string(s.attr("numFmtId"))); err == nil {
				custom[id] = numberFormat{date: isDateFormat(code), masked: isMask(code)}
			}
		case "cellXfs":
			inCells, depth = !s.selfClose, len(s.marks)
		case "xf":
			if !inCells || len(s.marks) != depth+1 {
				return nil
			}
			if len(w.formats) >= mostStyles {
				return refuse(TooLarge, w.stylesPart, "more than %d cell formats", mostStyles)
			}
			id, _ := strconv.Atoi(string(s.attr("numFmtId")))
			format, own := custom[id]
			if !own {
				format.date = isBuiltInDate(id)
			}
			w.formats = append(w.formats, format)
		default:
			if inCells && len(s.marks) <= depth {
				inCells = false
			}
		}
		return nil
	})
}

// isBuiltInDate knows the formats that a file need not spell out (ECMA-376 18.8.30).
func isBuiltInDate(id int) bool {
	return (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 47) || (id >= 50 && id <= 58)
}

// isDateFormat reports whether a format code shows parts of a date or time:
// one of d, m, y, h, s outside of quotes, escapes and brackets.
func isDateFormat(code string) bool {
	for i := 0; i < len(code); i++ {
		switch c := code[i]; c {
		case '"':
			length := strings.IndexByte(code[i+1:], '"')
			if length < 0 {
				return false
			}
			i += length + 1
		case '\\', '_', '*':
			i++
		case '[':
			length := strings.IndexByte(code[i+1:], ']')
			if length < 0 {
				return false
			}
			inside := strings.ToLower(code[i+1 : i+1+length])
			if inside != "" && strings.Trim(inside, inside[:1]) == "" && strings.Contains("hms", inside[:1]) {
				return true // elapsed time, [h]:mm
			}
			i += length + 1
		case ';':
			return false
		case 'd', 'D', 'm', 'M', 'y', 'Y', 'h', 'H', 's', 'S':
			return true
		}
	}
	return false
}

// isMask reports whether a format code pads whole numbers with zeros or puts
// letters or digits of its own before or behind them.
func isMask(code string) bool {
	zeros := 0
	for i := 0; i < len(code); i++ {
		switch c := code[i]; c {
		case '"':
			length := strings.IndexByte(code[i+1:], '"')
			if length < 0 {
				return false
			}
			if strings.ContainsFunc(code[i+1:i+1+length], letterOrDigit) {
				return true
			}
			i += length + 1
		case '\\':
			if i++; i < len(code) && letterOrDigit(rune(code[i])) {
				return true
			}
		case '_', '*':
			i++
		case '[':
			length := strings.IndexByte(code[i+1:], ']')
			if length < 0 {
				return false
			}
			i += length + 1
		case '0':
			if zeros++; zeros > 1 {
				return true
			}
		case '.', ';', 'E', 'e':
			return false
		}
	}
	return false
}

func letterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// dateText is a serial date as text. It reports false outside of Excel's dates.
func dateText(serial float64, date1904 bool) (string, bool) {
	const last = 2_958_466 // the day after 9999-12-31
	if date1904 {
		serial += 1462
	}
	if serial < 0 || serial >= last || math.IsNaN(serial) {
		return "", false
	}
	seconds := int64(math.Round(serial * 86_400))
	days, rest := seconds/86_400, seconds%86_400
	// Excel counts a 29 February 1900 that never was as day 60.
	epoch := time.Date(1899, time.December, 30, 0, 0, 0, 0, time.UTC)
	if days < 60 {
		epoch = epoch.AddDate(0, 0, 1)
	}
	at := epoch.AddDate(0, 0, int(days)).Add(time.Duration(rest) * time.Second)
	switch {
	case days == 0 && !date1904:
		return at.Format(time.TimeOnly), true
	case rest == 0:
		return at.Format(time.DateOnly), true
	default:
		return at.Format(time.DateTime), true
	}
}
