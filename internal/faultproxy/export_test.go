package faultproxy

// Flags returns Redis's flags of each command, according to the tables.
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
		if name != "CLIENT" && name != "CONFIG" { // for these Redis has flags for each subcommand
			flags[name] = []string{"loading"}
		}
	}
	return flags
}
