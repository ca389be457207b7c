package tiered

import (
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Negative windows, which a loader may set, count as zero.
func TestWindowsOfAPolicy(t *testing.T) {
	p := Policy{RefreshAfter: -1, StaleWhileRevalidate: -1, StaleIfError: -1}
	if w := p.ofRecords().Windows; w != (wire.Windows{}) || w.Keep() != 0 {
		t.Errorf("%+v", w)
	}
	p = Policy{RefreshAfter: 3, StaleWhileRevalidate: 2, StaleIfError: 1}
	if w := p.ofRecords().Windows; w != (wire.Windows{RefreshAfter: 3, WhileRevalidate: 2, IfError: 1}) || w.Keep() != 2 {
		t.Errorf("%+v", w)
	}
}
