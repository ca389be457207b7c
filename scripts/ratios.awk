# ratios.awk: makes one Markdown table from benchstat's CSV, which may have many tables. A row is a benchmark: its floor,
# which is its first implementation, and the others' medians with their ratios to it. ~ marks a ratio that by benchstat
# doesn't differ significantly from 1.
BEGIN { FS = ","; columns = 2; head[1] = "benchmark"; head[2] = "floor" }

/^,[^,]*,CI/ { unit = $2; next }

/^,[^,]/ { # a table begins with the names of its implementations
	split("", name)
	for (i = 2; i <= NF; i++) if ($i != "") {
		name[i] = $i
		if (i > 2 && !($i in column)) { column[$i] = ++columns; head[columns] = $i }
	}
}

/^[^,]/ && NF > 3 && $1 != "geomean" {
	row++
	cell[row, 1] = $1
	sub(/-[0-9]+$/, "", cell[row, 1])
	gsub(/\//, " ", cell[row, 1])
	cell[row, 2] = name[2] " " amount($2)
	for (i in name) if (i + 0 > 2 && $i != "") # i is a string
		cell[row, column[name[i]]] = sprintf("%s %.2f%s", amount($i), $i / $2, $(i + 2) == "~" ? "~" : "")
}

END {
	line(0)
	rule()
	for (r = 1; r <= row; r++) line(r)
}

function amount(n) {
	if (unit == "sec/op") return time(n)
	return sprintf("%.3g%s", n, unit == "hit%" ? "%" : unit)
}

function time(seconds) {
	if (seconds < 999.5e-9) return sprintf("%.3gns", seconds * 1e9)
	if (seconds < 999.5e-6) return sprintf("%.3gµs", seconds * 1e6)
	if (seconds < 999.5e-3) return sprintf("%.3gms", seconds * 1e3)
	return sprintf("%.3gs", seconds)
}

function text(r, c) { return r ? cell[r, c] : head[c] }

# width counts characters, even if awk's length counts bytes.
function width(s) { return length(s) - gsub(/µ/, "", s) * (length("µ") - 1) }

function widest(c, r, w) {
	w = 0
	for (r = 0; r <= row; r++) if (width(text(r, c)) > w) w = width(text(r, c))
	return w
}

function line(r, c) {
	for (c = 1; c <= columns; c++) printf "| %s%*s ", text(r, c), widest(c) - width(text(r, c)), ""
	print "|"
}

function rule(c, dashes) {
	for (c = 1; c <= columns; c++) {
		dashes = sprintf("%*s", widest(c) + 2, "")
		gsub(/ /, "-", dashes)
		printf "|%s", dashes
	}
	print "|"
}
