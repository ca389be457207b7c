package history

// index has the timeline of each subject.
type index map[subject]*timeline

// subject is what an invalidation invalidates: a key (written or deleted, or expired), a tag, or everything.
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
			ix.add(subject{Clear, clearKind(op)}, op)
		case InvalidateTags:
			for _, tag := range op.Tags {
				ix.add(subject{InvalidateTags, tag}, op)
			}
		}
	}
	for _, t := range ix {
		t.finish()
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

// The two kinds of Clear: a flush removes all keys, a new epoch hides what the caches wrote.
const flush, newEpoch = "flush", "epoch"

func clearKind(op *Op) string {
	if op.Process < 0 {
		return flush
	}
	return newEpoch
}

// appendTimelines appends the timelines of all subjects whose invalidation hides the value that made has made.
func (ix index) appendTimelines(lines []*timeline, made *Op) []*timeline {
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
		add(Clear, newEpoch)
	}
	for _, tag := range made.Tags {
		add(InvalidateTags, tag)
	}
	return lines
}
