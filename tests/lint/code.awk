# SPDX-License-Identifier: MIT
# Prints C sources as FILE:LINE:CODE, comments dropped, strings and characters emptied, so that a
# grep for a name finds only its use.  Lines that are blank afterwards are left out.
FNR == 1 { in_comment = 0 }
{
	code = ""
	rest = $0
	while (rest != "") {
		if (in_comment) {
			end = index(rest, "*/")
			if (!end)
				break
			rest = substr(rest, end + 2)
			in_comment = 0
		} else if (match(rest, /\/\*|\/\/|"|'/)) {
			token = substr(rest, RSTART, RLENGTH)
			code = code substr(rest, 1, RSTART - 1)
			rest = substr(rest, RSTART + RLENGTH)
			if (token == "//")
				break
			if (token == "/*") {
				code = code " "
				in_comment = 1
			} else {
				code = code token token
				if (token == "'")
					match(rest, /^([^'\\]|\\.)*('|$)/)
				else
					match(rest, /^([^"\\]|\\.)*("|$)/)
				rest = substr(rest, RLENGTH + 1)
			}
		} else {
			code = code rest
			rest = ""
		}
	}
	if (code !~ /^[ \t]*$/)
		print FILENAME ":" FNR ":" code
}
