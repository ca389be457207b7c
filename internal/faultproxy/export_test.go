package faultproxy

// Flags are those of Redis by command, as the tables have them.
func Flags() map[string][]string {
	flags := make(map[string][]string)
	for name := range reading {
		flags[name] = nil
	}
	for name := range scripts {
		flags[name] = nil
	}
	for name := range adding {
		flags[name] = []string{"denyoom", "write"}
	}
	for name := range writing {
		flags[name] = []string{"write"}
	}
	for name := range whileLoading {
		if name != "CLIENT" && name != "CONFIG" { // of these, Redis has flags for each subcommand
			flags[name] = []string{"loading"}
		}
	}
	return flags
}
