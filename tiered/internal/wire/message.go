package wire

import (
	"encoding/binary"
	"errors"
	"slices"
)

// With RedisOptions.Invalidation PubSub, a message is a version, the sender's id, and the names of the keys in Redis that it
// has changed, each after its length as a uvarint.
const (
	messageVersion = 1
	maxMessage     = 64 << 10 // bytes, unless a single key is longer

	// SenderLen is the length of a sender's id.
	SenderLen = 16
)

// ErrMessage is the error of bytes that are no message of this version.
var ErrMessage = errors.New("not a message of this version")

// Messages returns the messages that name the keys, as few as possible.
func Messages(sender string, keys []string) (messages []string) {
	header := append([]byte{messageVersion}, sender...)
	b := slices.Clone(header)
	for _, key := range keys {
		if len(b) > len(header) && len(b)+binary.MaxVarintLen64+len(key) > maxMessage {
			messages = append(messages, string(b))
			b = append(b[:0], header...)
		}
		b = binary.AppendUvarint(b, uint64(len(key)))
		b = append(b, key...)
	}
	if len(b) > len(header) {
		messages = append(messages, string(b))
	}
	return messages
}

// ParseMessage reads a message, which may be any bytes. The keys share its memory. The error is ErrMessage.
func ParseMessage(message string) (sender string, keys []string, err error) {
	if len(message) < 1+SenderLen || message[0] != messageVersion {
		return "", nil, ErrMessage
	}
	sender, message = message[1:1+SenderLen], message[1+SenderLen:]
	for len(message) > 0 {
		n, size := binary.Uvarint([]byte(message[:min(len(message), binary.MaxVarintLen64)]))
		if size <= 0 || n == 0 || n > uint64(len(message)-size) {
			return "", nil, ErrMessage
		}
		keys = append(keys, message[size:size+int(n)])
		message = message[size+int(n):]
	}
	return sender, keys, nil
}
