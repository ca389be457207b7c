package httpcache

import (
	"context"
	"testing"
)

// A load that goes on after its request finds nothing in its context that the server may use again.
func TestBorrowedContext(t *testing.T) {
	type key struct{}
	request, end := context.WithCancel(context.WithValue(t.Context(), key{}, "pooled"))
	defer end()
	ctx, cancel, release := borrowContext(request)
	defer cancel()
	load := context.WithoutCancel(ctx)
	if load.Value(key{}) != "pooled" {
		t.Error("while the request lasts, its values aren't there")
	}
	release()
	if v := load.Value(key{}); v != nil || ctx.Err() == nil {
		t.Errorf("past the request: %v, %v", v, ctx.Err())
	}
}
