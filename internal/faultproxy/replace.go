package faultproxy

// Replace has the server get other commands than the client sent, on all connections, as from a proxy that changes them. edit
// returns the words of the command to send instead, or nil for the command itself. It may be called by several goroutines. A
// state that the server pretends to be in ([Proxy.Pretend]) goes before. With a nil edit all commands pass again.
//
// To answer a command in the server's place, replace it by an EVAL that returns the answer.
func (p *Proxy) Replace(edit func(words []string) []string) {
	if edit == nil {
		p.replace.Store(nil)
		return
	}
	encoded := func(words [][]byte) []byte {
		sent := make([]string, len(words))
		for i, w := range words {
			sent[i] = string(w)
		}
		other := edit(sent)
		if other == nil {
			return nil
		}
		b := make([][]byte, len(other))
		for i, w := range other {
			b[i] = []byte(w)
		}
		return encodeCommand(b...)
	}
	p.replace.Store(&encoded)
}
