package codec_test

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/codec"
)

// What is in Redis must stay readable, and other programs read it too: these bytes were written once and for all. The compressed
// ones are only read, since a later version of the compressor may find a shorter form. Each codec has a vector.
func TestVectors(t *testing.T) {
	tested := make(map[string]bool)
	one := users(2)[1:]
	many := []string{strings.Repeat("abc ", 30)}
	for _, vector := range []struct {
		codec codec.Codec
		value any
		write bool
		hex   string
	}{
		{codec.JSON, one, true, jsonVector},
		{codec.Msgpack, one, true, msgpackVector},
		{codec.Raw, "text", true, "74657874"},
		{codec.Zstd(codec.JSON, 0), one, true, "00" + jsonVector},
		{codec.S2(codec.Msgpack, 0), one, true, "00" + msgpackVector},
		{codec.Zstd(codec.JSON, 1), many, false, zstdVector},
		{codec.S2(codec.JSON, 1), many, false, s2Vector},
		{sealed(t, codec.JSON), one, false, sealedVector},
	} {
		data, err := hex.DecodeString(vector.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := vector.codec.Marshal(vector.value); vector.write && string(got) != string(data) {
			t.Errorf("%s wrote %x, %v", vector.codec.Name(), got, err)
		}
		got := reflect.New(reflect.TypeOf(vector.value))
		if err := vector.codec.Unmarshal(data, got.Interface()); err != nil {
			t.Errorf("%s: %v", vector.codec.Name(), err)
		}
		if us, ok := got.Elem().Interface().([]user); ok && len(us) > 0 {
			us[0].Created = us[0].Created.UTC()
		}
		if !reflect.DeepEqual(got.Elem().Interface(), vector.value) {
			t.Errorf("%s read %+v", vector.codec.Name(), got.Elem())
		}
		tested[vector.codec.Name()] = true
	}
	for _, c := range codecs {
		if !tested[c.Name()] {
			t.Errorf("%s has no vector", c.Name())
		}
	}
}

const (
	jsonVector = "5b7b226964223a313030312c226e616d65223a2255736572204e756d6265722031222c22656d61696c223a227573657231406578616d70" +
		"6c652e636f6d222c2263726561746564223a22323032362d30312d30325430333a30313a30352e3132333435365a222c22616374697665" +
		"223a747275652c2274616773223a5b2261646d696e222c2262657461225d7d5d"
	msgpackVector = "9186a26964d300000000000003e9a46e616d65ad55736572204e756d6265722031a5656d61696cb17573657231406578616d706c652e63" +
		"6f6da763726561746564d7ff1d6f2800695734f1a6616374697665c3a47461677392a561646d696ea462657461"
	zstdVector   = "0128b52ffd207c7d0000405b2261626320225d015406022af1"
	s2Vector     = "017c145b2261626320110415006404225d"
	sealedVector = "0432303236d088e412e57fa8b9d45a266c42a87831088bf55fc2079ee02749d7304b77eb6c12564f978cdd2722aa8393c56069464aa3843e6267" +
		"ec3bc15a5409feaa4aad244bb9576b653bfaa3df4713869dd9dc87bbe02689f589a3d50d8bde248ed179ce528e8ad91ea339082bd72f8e31ad2a" +
		"273d0008d39708b6c15e985ac1070ffbfd0e8dc1836b9b0d45d977a88bc1f7162f4b014df6c7b512d99a8241983701d0156bbb6507b76e7f38c2" +
		"9f6dd1dfce4e096e36f0ac5003"
)
