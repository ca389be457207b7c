package main

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/doctor"
)

func doctorCommand() *command {
	var timeout time.Duration
	return &command{
		name:  "doctor",
		short: "examine a Redis in five seconds, and print the RedisOptions to use",
		long: `
It checks the version, RESP3, the commands and rights that tiered.NewRedis needs, whether changes of keys (Tracking) and messages (PubSub)
really arrive, maxmemory and its policy, the round trip, the clocks, and whether something in between mixes connections up. It writes
under names that no cache has, a few bytes, of which the last expire after an hour.

Each line begins with ok, warn (the caches work, but worse than they could), fail (they don't work, or don't keep their guarantees) or skip
(it couldn't be checked). The exit code is 1 if a line begins with fail.`,
		define: func(f *flags) {
			f.DurationVar(&timeout, "timeout", doctor.DefaultTimeout, "RedisOptions.Timeout of the programs")
		},
		execute: func(ctx context.Context, f *flags, s streams) error {
			if f.NArg() > 0 {
				return usageError("it takes no arguments")
			}
			if timeout < time.Millisecond {
				return usageError("-timeout must be a millisecond or more")
			}
			target, err := f.target()
			if err != nil {
				return err
			}
			report := doctor.Examine(ctx, doctor.Config{Target: target, Prefix: f.prefix, Timeout: timeout})
			if f.json {
				err = printJSON(s.out, report)
			} else {
				_, err = report.WriteTo(s.out)
			}
			if err == nil && !report.Healthy() {
				err = errUnhealthy
			}
			return err
		},
	}
}
