package httpcache

import (
	"context"
	"testing"
	"time"
)

// reusedContext is a context that has ended and was reused for another request: Done is closed, and there is no error.
type reusedContext struct {
	context.Context
	done chan struct{}
}

func (c reusedContext) Done() <-chan struct{} { return c.done }
func (c reusedContext) Err() error            { return nil }

// A load whose request's context is reused ends with an error, where package context would panic.
func TestReusedContext(t *testing.T) {
	request := reusedContext{context.Background(), make(chan struct{})}
	for _, early := range []bool{false, true} {
		ctx, cancel, release := borrowContext(request)
		if ctx.Err() != nil && !early {
			t.Error("it has ended before its request")
		}
		if early {
			release()
		} else {
			close(request.done)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("it doesn't end")
		}
		if ctx.Err() != context.Canceled {
			t.Error(ctx.Err())
		}
		release()
		cancel()
	}
}
