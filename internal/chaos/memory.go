//go:build !windows

package chaos

import "unsafe"

// memory is what the keys and tags of calls are in while a cache is called, as those of requests are in servers that reuse a
// request's memory: they are overwritten when the call has returned, and the next call has its own there.
type memory struct{ parts [][]byte }

// lend returns the texts as strings that are in the memory until reuse is called.
func (m *memory) lend(texts ...string) (lent []string, reuse func()) {
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

// overwrite makes others of all keys and tags: the last digit is the next one.
func (m *memory) overwrite() {
	for _, text := range m.parts {
		if n := len(text); n > 0 {
			text[n-1] = '0' + (text[n-1]-'0'+1)%10
		}
	}
}
