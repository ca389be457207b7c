//go:build !windows

package chaos

import "unsafe"

// reusedMemory holds the keys and tags of one call at a time, as servers do that reuse a request's memory (Fiber): they are
// overwritten when the call has returned, and the next call's are stored in the same place.
type reusedMemory struct{ parts [][]byte }

// lend returns the texts as strings in this memory. They are valid until reuse is called.
func (m *reusedMemory) lend(texts ...string) (lent []string, reuse func()) {
	for len(m.parts) < len(texts) {
		m.parts = append(m.parts, nil)
	}
	lent = make([]string, len(texts))
	for i, text := range texts {
		if len(m.parts[i]) != len(text) {
			m.parts[i] = make([]byte, len(text))
		}
		copy(m.parts[i], text)
		lent[i] = unsafe.String(unsafe.SliceData(m.parts[i]), len(text))
	}
	return lent, m.overwrite
}

// overwrite changes all keys and tags into others: it increments their last digits.
func (m *reusedMemory) overwrite() {
	for _, text := range m.parts {
		if n := len(text); n > 0 {
			text[n-1] = '0' + (text[n-1]-'0'+1)%10
		}
	}
}
