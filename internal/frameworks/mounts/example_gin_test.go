package mounts_test

import (
	"net/http"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// ginCache returns a cache as gin middleware.
func ginCache(cache *httpcache.Cache) gin.HandlerFunc {
	return func(c *gin.Context) {
		outer, request, ran := c.Writer, c.Request, false
		cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner := &ginWriter{ResponseWriter: outer, w: w, status: outer.Status(), size: -1}
			defer func() { c.Writer, c.Request = outer, request }()
			c.Writer, c.Request, ran = inner, r, true
			c.Next()
			if inner.set {
				inner.WriteHeaderNow()
			}
		})).ServeHTTP(outer, request)
		if !ran {
			c.Abort()
		}
	}
}

// ginWriter is a gin.ResponseWriter that wraps the cache's writer.
type ginWriter struct {
	gin.ResponseWriter // the outer one, for Hijack, CloseNotify and Pusher
	w                  http.ResponseWriter
	status, size       int
	set                bool
}

func (w *ginWriter) Header() http.Header { return w.w.Header() }

func (w *ginWriter) WriteHeader(status int) {
	switch {
	case status <= 0:
	case !w.Written():
		w.status, w.set = status, true
	case status != w.status: // gin.Recovery, after a part of the body: the cache doesn't store that
		w.w.WriteHeader(status)
	}
}

func (w *ginWriter) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.w.WriteHeader(w.status)
	}
}

func (w *ginWriter) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.w.Write(p)
	w.size += n
	return n, err
}

func (w *ginWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *ginWriter) Flush() {
	w.WriteHeaderNow()
	_ = http.NewResponseController(w.w).Flush()
}

func (w *ginWriter) Status() int { return w.status }

func (w *ginWriter) Size() int { return w.size }

func (w *ginWriter) Written() bool { return w.size >= 0 }

func (w *ginWriter) Unwrap() http.ResponseWriter { return w.w }

func mountInGin(cache *httpcache.Cache, user gin.HandlerFunc) http.Handler {
	r := gin.New()
	r.Use(gin.Recovery(), cors.New(cors.Config{AllowOrigins: []string{"https://app.example"}, MaxAge: time.Hour}))
	r.Use(ginCache(cache), gzip.Gzip(gzip.DefaultCompression))
	r.GET("/users/:id", user)
	return r
}
