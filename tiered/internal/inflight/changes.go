package inflight

import "slices"

// What Redis reports of a key ends the reads and loads under way, and wakes those that wait for another process's load.

// Listen returns h with the present count of changes. If wake isn't nil, the next change of the key is signalled on it.
func (t *Table[T, S]) Listen(h Ref[T, S], wake chan struct{}) Ref[T, S] {
	s := t.locked(h.Hash)
	defer s.mu.Unlock()
	h.Changes = h.state.changes
	if wake != nil && !slices.Contains(h.state.wakes, wake) {
		h.state.wakes = append(h.state.wakes, wake)
	}
	return h
}

// StopListening undoes Listen for the flight.
func (t *Table[T, S]) StopListening(f *Flight[T, S]) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	f.state.removeWake(f.Wake)
}

func (k *keyState[T, S]) removeWake(wake chan struct{}) {
	k.wakes = slices.DeleteFunc(k.wakes, func(other chan struct{}) bool { return other == wake })
}

// IsCurrent reports whether the key wasn't written, loaded or changed since the flight last listened.
func (t *Table[T, S]) IsCurrent(f *Flight[T, S]) bool {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	return f.isCurrent()
}

// Changed handles a change of the key that Redis has reported: values read or loaded before it are too old.
func (t *Table[T, S]) Changed(key string, hash uint64) {
	s := t.locked(hash)
	defer s.mu.Unlock()
	if k := s.keys[key]; k != nil {
		k.changed(true)
	}
	t.local.Delete(key, hash)
}

// Interrupted treats every key that has a state as changed, because changes may have been missed.
func (t *Table[T, S]) Interrupted() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, k := range s.keys {
			k.changed(false)
		}
		s.mu.Unlock()
	}
}

// Wake wakes the flights that wait for another process's load of the key, because that may be over.
func (t *Table[T, S]) Wake(key string, hash uint64) {
	s := t.locked(hash)
	defer s.mu.Unlock()
	if k := s.keys[key]; k != nil {
		k.changes++
		k.wake()
	}
}

// Released wakes the flights that wait for a lease which this process has released, unless Redis reports its own changes to it.
func (t *Table[T, S]) Released(key string, hash uint64) {
	if !t.OwnEvents {
		t.Wake(key, hash)
	}
}

// wakeOwn wakes the listeners of a key that this process has changed, unless Redis reports the change to it.
func (t *Table[T, S]) wakeOwn(k *keyState[T, S]) {
	if !t.OwnEvents {
		k.wake()
	}
}

// wake notifies the listeners and forgets them. The caller holds the shard's lock.
func (k *keyState[T, S]) wake() {
	for _, wake := range k.wakes {
		select {
		case wake <- struct{}{}:
		default: // already notified
		}
	}
	k.wakes = nil
}

// changed counts a change of the key, and keeps new callers from joining a flight that may be older than it. A change that Redis
// has reported may be the flight's own. The caller holds the shard's lock.
//
// A report has only the key, so it can't be told whose change it is. While the loader runs, one report is taken for that of the
// flight's lease. If another process changes the key too, there is a second report, which ends the joining, in whichever order
// they come. The count of changes includes both.
func (k *keyState[T, S]) changed(reported bool) {
	k.changes++
	k.wake()
	if f := k.flight; f != nil && f.loading && reported && f.ownEvents > 0 {
		f.ownEvents--
		return
	}
	k.flight = nil // it goes on for its callers, but new ones may not get a value older than the change
}
