package main

// expected are the required tests that can't pass, each with the reason. The first nine contradict RFC 9111, and were
// corrected in the suite's repository after the release that npm has.
var expected = map[string]string{
	"age-parse-nonnumeric":                  "RFC 9111, 5.1: an Age that isn't a number is ignored",
	"age-parse-negative":                    "RFC 9111, 5.1: an Age that is negative is ignored",
	"age-parse-float":                       "RFC 9111, 5.1: an Age that isn't an integer is ignored",
	"age-parse-prefix-twoline":              "RFC 9111, 5.1: of several values of Age the first counts",
	"age-parse-dup-0":                       "RFC 9111, 5.1: of several values of Age the first counts",
	"age-parse-dup-0-twoline":               "RFC 9111, 5.1: of several values of Age the first counts",
	"age-parse-dup-old":                     "RFC 9111, 5.1: of several values of Age the first counts",
	"304-etag-update-response-Content-MD5":  "RFC 9111, 3.2: a 304's fields update the stored ones",
	"304-etag-update-response-Content-Type": "RFC 9111, 3.2: a 304's fields update the stored ones",
	"headers-store-Transfer-Encoding":       "RFC 9112, 6.1: the coding is unknown, and Go's Transport refuses it",
}
