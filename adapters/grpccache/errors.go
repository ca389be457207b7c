package grpccache

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tiercache/tiercache/tiered"
)

// statusOf returns an error with a code of gRPC for one of the cache, and others unchanged.
func statusOf(err error) error {
	if _, ok := status.FromError(err); ok { // also if it is nil
		return err
	}
	switch {
	case errors.Is(err, tiered.ErrOverloaded):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, tiered.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	}
	return err
}
