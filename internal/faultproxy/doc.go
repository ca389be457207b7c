// Package faultproxy puts a TCP proxy between a Redis client and its server, both on loopback, and breaks the network
// there. It needs no test to run, so that long-lived programs can use it, too.
//
//	p := faultproxy.Start(t, server.Addr())
//	client := redis.NewClient(&redis.Options{Addr: p.Addr()})
//	p.StallReplies(true) // requests arrive and are carried out, but nobody hears of it
//
// A [Proxy] has a link for every connection that it has accepted. A link is two pipes, one for the client's requests
// and one for the server's replies. A pipe reads chunks into a queue and writes each to the other side when it is due
// and the pipe isn't held; the end of a connection, orderly or a reset, queues like any chunk. So a Stall also keeps
// from the server that a client has gone, and requests whose sender gave up long ago arrive when it ends, as they do
// after a real network's outage.
//
// A fault holds from the moment its method returns: what was read before, or is just being written, is held or lost
// too. What was written before is in the kernel's hands and still arrives. Faults add up: what is stalled and delayed
// is due when both are over.
//
// Pretend breaks the server instead: it seems to be in a [State] in which it refuses commands. That takes reading the
// requests as RESP; what isn't RESP is passed on as it is.
//
// A queue holds 1024 chunks of up to 32 KiB. When it is full the sender waits, as with any slow receiver.
//
// Connections are always accepted: a dead server, and Refuse, look like a connection that is reset at once.
package faultproxy
