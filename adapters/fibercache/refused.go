package fibercache

import (
	"reflect"

	"github.com/gofiber/fiber/v3"
)

// refused reports whether fasthttp rejects the request, because it is too large or malformed. Fiber then runs the middleware
// all the same, for the fields that it adds to the response, but skips the routes; the app's ErrorHandler writes the
// response. Fiber exports nothing that identifies such a run, so refused reads an unexported field. TestRefusedRequests
// fails with a version of Fiber that has another one.
func refused(c fiber.Ctx) bool {
	if d, ok := c.(*fiber.DefaultCtx); ok {
		return skipsRoutes != nil && reflect.ValueOf(d).Elem().FieldByIndex(skipsRoutes).Bool()
	}
	v := reflect.Indirect(reflect.ValueOf(c)) // a type of the app that embeds a DefaultCtx
	for v.Kind() == reflect.Struct {
		if v.Type() == reflect.TypeFor[fiber.DefaultCtx]() {
			return skipsRoutes != nil && v.FieldByIndex(skipsRoutes).Bool()
		}
		v = reflect.Indirect(embedded(v))
	}
	return false
}

// embedded returns the first embedded field of a struct that is a Ctx, or the zero Value.
func embedded(v reflect.Value) reflect.Value {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous && (f.Type.Implements(ctxType) || reflect.PointerTo(f.Type).Implements(ctxType)) {
			if f.Type.Kind() == reflect.Interface {
				return v.Field(i).Elem()
			}
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

var ctxType = reflect.TypeFor[fiber.Ctx]()

// skipsRoutes is the index of Fiber's unexported field in a DefaultCtx; nil if this version has none.
var skipsRoutes = func() []int {
	f, ok := reflect.TypeFor[fiber.DefaultCtx]().FieldByName("shouldSkipNonUseRoutes")
	if !ok || f.Type.Kind() != reflect.Bool {
		return nil
	}
	return f.Index
}()
