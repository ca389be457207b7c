package history

// index has the timeline of every subject.
type index map[subject]*timeline

// subject is what an invalidation is about: a key that is written or deleted, a key that expires, a tag, or everything.
type subject struct {
	kind Kind // Delete stands for Set, too
	name string
}

// newIndex returns the index of the invalidations that were lost, or of those that weren't.
func newIndex(r *Record, lost bool) index {
	ix := index{}
	for i := range r.Ops {
		op := &r.Ops[i]
		if _, is := r.Lost[op.ID]; is != lost || !op.invalidates() {
			continue
		}
		switch op.Kind {
		case Set, Delete:
			ix.add(subject{Delete, op.Key}, op)
		case Expire:
			ix.add(subject{Expire, op.Key}, op)
		case Clear:
			ix.add(subject{Clear, clearer(op)}, op)
		case InvalidateTags:
			for _, tag := range op.Tags {
				ix.add(subject{InvalidateTags, tag}, op)
			}
		}
	}
	for _, t := range ix {
		t.seal()
	}
	return ix
}

func (ix index) add(s subject, op *Op) {
	t := ix[s]
	if t == nil {
		t = &timeline{kind: s.kind}
		ix[s] = t
	}
	t.add(op)
}

// The two ways of clearing: a flush removes all there is, a new era hides what the caches wrote.
const flush, newEra = "flush", "era"

func clearer(op *Op) string {
	if op.Process < 0 {
		return flush
	}
	return newEra
}

// appendLines appends the timelines that have a say about the value which made has made.
func (ix index) appendLines(lines []*timeline, made *Op) []*timeline {
	if len(ix) == 0 {
		return lines
	}
	add := func(kind Kind, name string) {
		if t := ix[subject{kind, name}]; t != nil {
			lines = append(lines, t)
		}
	}
	add(Delete, made.Key)
	add(Expire, made.Key)
	add(Clear, flush)
	if made.Process >= 0 {
		add(Clear, newEra)
	}
	for _, tag := range made.Tags {
		add(InvalidateTags, tag)
	}
	return lines
}
