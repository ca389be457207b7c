// Package faultproxy is a TCP proxy between a Redis client and its server, both on loopback, that injects network faults.
// It can be used outside tests, too.
//
//	p := faultproxy.Start(t, server.Addr())
//	client := redis.NewClient(&redis.Options{Addr: p.Addr()})
//	p.StallReplies(true) // requests arrive and are executed, but no reply comes back
//
// A [Proxy] has a link for every connection that it has accepted. A link is two pipes, one for the client's requests
// and one for the server's replies. A pipe reads chunks into a queue and writes each to the other side when it is due
// and the pipe isn't held. The end of a connection, with a FIN or a reset, is queued like a chunk. So during a Stall the
// server doesn't notice that a client has disconnected, and requests of such a client arrive when the Stall ends, as they do
// after a real network outage.
//
// A fault takes effect before its method returns: chunks that were read before, or are being written, are held or lost,
// too. What was written before is in the kernel's buffers and still arrives. Faults combine: a chunk that is stalled and
// delayed is due when both are over.
//
// Pretend breaks the server instead: it seems to be in a [State] in which it refuses commands. For that the proxy parses the
// requests as RESP; anything else passes unchanged.
//
// A queue holds 1024 chunks of up to 32 KiB. When it is full the sender waits, as with any slow receiver.
//
// Connections are always accepted: if the server is down, or with Refuse, they are reset at once.
package faultproxy
