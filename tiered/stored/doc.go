// Package stored parses what caches keep in Redis, for tools that know neither the type of the values nor the codec. It sends nothing:
// a tool reads the keys that [Keys] names, with any client, and gives it the bytes.
//
//	keys := stored.NewKeys("tc:", "users")
//	b, err := client.Get(ctx, keys.Value("42")).Bytes()
//	for _, f := range stored.Parse(b).Frames {
//		state, why := f.State(now, invalidations)
//		fmt.Println(f.Codec, f.Age(now), state, why)
//	}
//
// [Frame.State] takes the cache's invalidations, which are the values of other keys. The time is Redis's: that of its command TIME.
//
// Programs don't need this package: a cache's own Inspect knows more, and package inspection has its types.
//
// This package must not be used to change what caches have: an invalidation that isn't made by a cache's methods may be missed by
// processes with PubSub, and a value must carry the state of the invalidations when its load began.
package stored
